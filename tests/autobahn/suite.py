"""Runs the Autobahn test suite against one server and judges what came out.

Started by `./run`. The cases are those of `autobahntestsuite`, which the package `kosoku` carries and drives; what is
good enough is decided here.
"""

import asyncio
import collections
import os
import sys

from kosoku import FailureError, run_fuzzingclient

# 12 and 13 are permessage-deflate, which this server declines.
CASES = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*"]
# That many there are; fewer would mean that some were left out without a word.
COUNT = 301

# Cases that may be NON-STRICT. In each a good message is followed at once by a bad frame, and strict is to echo the
# message before the close. The echo takes the way of every message, by the hub's registry and the fan-out; a violation
# ends the connection at once and does not wait for what is under way (RFC 6455, 7.1.7, asks for no more).
OVERTAKEN = {"3.2", "3.3", "3.4", "4.1.3", "4.1.4", "4.1.5", "4.2.3", "4.2.4", "4.2.5", "5.15"}
# Cases without an expectation: a long message before a close, and close codes that nobody has assigned.
INFORMATIONAL = {"7.1.6", "7.13.1", "7.13.2"}


def verdict(member):
    """The name of a verdict: `Behavior.OK` is OK."""
    return str(member).rpartition(".")[2]


def complaint(result):
    """What is wrong with the result of one case, or None."""
    behavior, close = verdict(result.behavior), verdict(result.behavior_close)
    if result.case_id in INFORMATIONAL:
        fine = behavior == close == "INFORMATIONAL"
    else:
        allowed = {"OK", "NON_STRICT"} if result.case_id in OVERTAKEN else {"OK"}
        fine = behavior in allowed and close == "OK"
    if fine:
        return None
    return f"{result.case_id}: {behavior}, close {close}: {result.result} {result.result_close}"


async def results_of(server):
    """What came out for each case, whether kosoku is content or not."""
    try:
        return await run_fuzzingclient(server, CASES, concurrency=2)
    except FailureError as failure:
        return failure.results


def main():
    results = asyncio.run(results_of(sys.argv[1]))
    complaints = [text for text in map(complaint, results) if text]
    if len(results) != COUNT:
        complaints.append(f"{len(results)} cases were run, not {COUNT}")
    for text in complaints:
        print(text)
    counts = collections.Counter(verdict(result.behavior) for result in results)
    print(", ".join(f"{count} {behavior}" for behavior, count in counts.most_common()))
    return 1 if complaints else 0


status = main()
sys.stdout.flush()
# The end of the interpreter finds kosoku's threads still alive now and then, and aborts.
os._exit(status)
