//! How many wrong passwords are listened to, and from whom.
//!
//! Three counts, each a leaky bucket that failures fill and time empties:
//!
//! - per **address** (IPv6 by its /64, which is what one customer gets): full → refused;
//! - per **login and address**: full → refused, so one address cannot go on guessing at one login;
//! - per **login**, from wherever: full → every attempt at it is *slowed*, never refused, so nobody can lock a user out.
//!
//! What holds: memory is bounded by `entries` a table, whatever is sent. A full table forgets its emptiest buckets
//! first, those that matter least; it never refuses somebody because it is full. An attacker with more addresses than
//! the table has entries can make it forget, and is then held by the slowing of the login alone. Other users behind
//! the address of an attacker (one NAT, one proxy that is not in `server.trusted_proxies`) are refused with them.
//!
//! Verifying takes a while, and attempts that are under way are not counted yet. Call [`LoginThrottle::check`]
//! directly before the password is verified, *after* waiting for a permit to do so: then what can slip through is
//! bounded by how many passwords are verified at once. A login that the positive cache answers needs no check.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::peer::network_of;

/// How many failures fill a bucket, and how fast it empties.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailureLimit {
    /// Failures at once.
    pub burst: u32,
    /// How long until one of them is forgotten.
    pub forget_one_in: Duration,
}

/// The limits of failed logins (`auth.throttle`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThrottleLimits {
    /// Per address. Generous: an office may share one.
    pub address: FailureLimit,
    /// Per login and address: how often one may mistype.
    pub login_and_address: FailureLimit,
    /// Per login before it is slowed.
    pub login: FailureLimit,
    /// By how much each failure beyond `login` slows the next attempts at it.
    pub slow_by: Duration,
    /// By how much attempts are slowed at most.
    pub slow_at_most: Duration,
    /// Entries of each of the three tables; one takes about 40 bytes.
    pub entries: usize,
}

impl Default for ThrottleLimits {
    fn default() -> Self {
        ThrottleLimits {
            address: FailureLimit { burst: 50, forget_one_in: Duration::from_secs(10) },
            login_and_address: FailureLimit { burst: 10, forget_one_in: Duration::from_secs(30) },
            login: FailureLimit { burst: 20, forget_one_in: Duration::from_secs(10) },
            slow_by: Duration::from_millis(100),
            slow_at_most: Duration::from_secs(2),
            entries: 50_000,
        }
    }
}

/// What to do with an attempt to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Verify the password.
    Allow,
    /// Wait so long, then verify the password.
    Delay(Duration),
    /// Answer 429 with `Retry-After`, and do not look at the password.
    Refuse {
        /// After how long an attempt will be listened to again.
        retry_after: Duration,
    },
}

/// The failed logins of the last minutes. Shared by all workers; a call takes well under a microsecond.
///
/// Logins are kept as keyed hashes only. Time is a parameter, so that a test needs no waiting.
#[derive(Debug)]
pub struct LoginThrottle {
    limits: ThrottleLimits,
    hasher: RandomState,
    tables: Mutex<Tables>,
}

#[derive(Debug)]
struct Tables {
    addresses: Table,
    logins_and_addresses: Table,
    logins: Table,
}

impl LoginThrottle {
    /// An empty throttle.
    pub fn new(limits: ThrottleLimits) -> Self {
        let entries = limits.entries.max(1);
        let tables = Tables {
            addresses: Table::new(limits.address, limits.address.burst, entries),
            logins_and_addresses: Table::new(limits.login_and_address, limits.login_and_address.burst, entries),
            logins: Table::new(limits.login, limits.login.burst.saturating_add(steps(&limits)), entries),
        };
        LoginThrottle { limits, hasher: RandomState::new(), tables: Mutex::new(tables) }
    }

    /// Whether this attempt may be made now. Counts nothing.
    pub fn check(&self, address: IpAddr, login: &str, now: Instant) -> Verdict {
        let keys = self.keys(address, login);
        let tables = self.tables();
        let waits = [tables.addresses.wait(keys.address, now), tables.logins_and_addresses.wait(keys.both, now)];
        if let Some(retry_after) = waits.into_iter().max().filter(|wait| !wait.is_zero()) {
            return Verdict::Refuse { retry_after };
        }
        match tables.logins.excess(keys.login, now) {
            0 => Verdict::Allow,
            excess => Verdict::Delay(self.limits.slow_by.saturating_mul(excess).min(self.limits.slow_at_most)),
        }
    }

    /// Counts a wrong password, or a login that nobody has: both must look and cost the same.
    pub fn failed(&self, address: IpAddr, login: &str, now: Instant) {
        let keys = self.keys(address, login);
        let mut tables = self.tables();
        tables.addresses.add(keys.address, now);
        tables.logins_and_addresses.add(keys.both, now);
        tables.logins.add(keys.login, now);
    }

    /// Forgives this address its failures at this login, and nothing else: else an attacker could clear the address
    /// with a login of their own, and a user who logs in would set those free who attack the login.
    pub fn succeeded(&self, address: IpAddr, login: &str) {
        let keys = self.keys(address, login);
        self.tables().logins_and_addresses.buckets.remove(&keys.both);
    }

    fn keys(&self, address: IpAddr, login: &str) -> Keys {
        let network = network_of(address);
        Keys {
            address: self.hasher.hash_one(network),
            both: self.hasher.hash_one((network, login)),
            login: self.hasher.hash_one(login),
        }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        // Nothing under the lock can leave a table half changed, so one that a panic left behind is still right.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// After how many failures beyond the burst a login cannot be slowed further.
fn steps(limits: &ThrottleLimits) -> u32 {
    let step = limits.slow_by.as_millis().max(1);
    u32::try_from(limits.slow_at_most.as_millis().div_ceil(step)).unwrap_or(u32::MAX)
}

/// The places in the three tables: hashes under a key that is new in each process. Two that fall together (one pair in
/// 2⁶⁴) share a bucket, which harms nobody.
struct Keys {
    address: u64,
    both: u64,
    login: u64,
}

/// Buckets that failures fill and time empties, each kept as the moment at which it will be empty (GCRA).
#[derive(Debug)]
struct Table {
    buckets: HashMap<u64, Instant>,
    burst: u32,
    forget_one_in: Duration,
    /// The fullest a bucket gets. Further failures change nothing, so that no wait is endless.
    capacity: Duration,
    max_entries: usize,
}

impl Table {
    fn new(limit: FailureLimit, capacity: u32, max_entries: usize) -> Self {
        // A bucket that never emptied would make the arithmetic divide by zero, and the refusal last for ever.
        let forget_one_in = limit.forget_one_in.clamp(Duration::from_millis(1), Duration::from_secs(24 * 60 * 60));
        let burst = limit.burst.clamp(1, 1_000_000);
        let capacity = forget_one_in * capacity.clamp(burst, 1_000_000);
        Table { buckets: HashMap::new(), burst, forget_one_in, capacity, max_entries }
    }

    /// What is in a bucket, as the time it takes to run out.
    fn level(&self, key: u64, now: Instant) -> Duration {
        self.buckets.get(&key).map_or(Duration::ZERO, |empty_at| empty_at.saturating_duration_since(now))
    }

    /// How long until the bucket has room for one more failure; zero where it has room now.
    fn wait(&self, key: u64, now: Instant) -> Duration {
        let room_for_one = self.forget_one_in * (self.burst - 1);
        self.level(key, now).saturating_sub(room_for_one)
    }

    /// By how many failures the bucket is over its burst.
    fn excess(&self, key: u64, now: Instant) -> u32 {
        let over = self.level(key, now).saturating_sub(self.forget_one_in * self.burst);
        u32::try_from(over.as_nanos().div_ceil(self.forget_one_in.as_nanos())).unwrap_or(u32::MAX)
    }

    fn add(&mut self, key: u64, now: Instant) {
        let level = (self.level(key, now) + self.forget_one_in).min(self.capacity);
        if !self.buckets.contains_key(&key) && self.buckets.len() >= self.max_entries {
            self.make_room(now);
        }
        self.buckets.insert(key, now + level);
    }

    /// Forgets the buckets that are empty, and the emptiest until a quarter is free: so each bucket that comes pays
    /// for a constant share of this.
    fn make_room(&mut self, now: Instant) {
        self.buckets.retain(|_, empty_at| *empty_at > now);
        let mut surplus = self.buckets.len().saturating_sub(self.max_entries - self.max_entries.div_ceil(4));
        if surplus == 0 {
            return;
        }
        let mut moments: Vec<Instant> = self.buckets.values().copied().collect();
        let (_, limit, _) = moments.select_nth_unstable(surplus - 1);
        let limit = *limit;
        // First what is emptier than the limit, then as many as needed of those that equal it.
        self.buckets.retain(|_, empty_at| {
            let goes = *empty_at < limit;
            surplus -= usize::from(goes);
            !goes
        });
        self.buckets.retain(|_, empty_at| {
            let goes = surplus > 0 && *empty_at == limit;
            surplus -= usize::from(goes);
            !goes
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn limits() -> ThrottleLimits {
        ThrottleLimits {
            address: FailureLimit { burst: 6, forget_one_in: 10 * SECOND },
            login_and_address: FailureLimit { burst: 3, forget_one_in: 30 * SECOND },
            login: FailureLimit { burst: 4, forget_one_in: 10 * SECOND },
            slow_by: SECOND / 4,
            slow_at_most: SECOND,
            entries: 100,
        }
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn numbered(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    fn sizes(throttle: &LoginThrottle) -> [usize; 3] {
        let tables = throttle.tables();
        [&tables.addresses, &tables.logins_and_addresses, &tables.logins].map(|table| table.buckets.len())
    }

    #[test]
    fn an_address_may_mistype_one_login_only_so_often() {
        let (throttle, now) = (LoginThrottle::new(limits()), Instant::now());
        let here = address("192.0.2.1");
        for _ in 0..3 {
            assert_eq!(throttle.check(here, "mark", now), Verdict::Allow);
            throttle.failed(here, "mark", now);
        }
        assert_eq!(throttle.check(here, "mark", now), Verdict::Refuse { retry_after: 30 * SECOND });
        assert_eq!(throttle.check(here, "anna", now), Verdict::Allow);
        assert!(matches!(throttle.check(here, "mark", now + 29 * SECOND), Verdict::Refuse { .. }));
        assert_eq!(throttle.check(here, "mark", now + 30 * SECOND), Verdict::Allow);
    }

    #[test]
    fn an_address_that_tries_many_logins_is_refused_for_all() {
        let (throttle, now) = (LoginThrottle::new(limits()), Instant::now());
        for login in ["a", "b", "c", "d", "e", "f"] {
            throttle.failed(address("192.0.2.1"), login, now);
        }
        assert_eq!(throttle.check(address("192.0.2.1"), "g", now), Verdict::Refuse { retry_after: 10 * SECOND });
        assert_eq!(throttle.check(address("192.0.2.2"), "g", now), Verdict::Allow);
    }

    #[test]
    fn ipv6_counts_by_its_64_and_mapped_ipv4_as_ipv4() {
        let (throttle, now) = (LoginThrottle::new(limits()), Instant::now());
        for host in 0..6 {
            throttle.failed(address(&format!("2001:db8:0:1::{host}")), &format!("login-{host}"), now);
            throttle.failed(address("::ffff:192.0.2.1"), &format!("other-{host}"), now);
        }
        assert!(matches!(throttle.check(address("2001:db8:0:1:ffff::"), "x", now), Verdict::Refuse { .. }));
        assert_eq!(throttle.check(address("2001:db8:0:2::1"), "x", now), Verdict::Allow);
        assert!(matches!(throttle.check(address("192.0.2.1"), "x", now), Verdict::Refuse { .. }));
    }

    #[test]
    fn a_login_under_attack_is_slowed_for_others_and_never_refused() {
        let (throttle, now) = (LoginThrottle::new(limits()), Instant::now());
        let owner = address("203.0.113.1");
        let mut verdicts = Vec::new();
        for attacker in 0..1000 {
            verdicts.push(throttle.check(owner, "mark", now));
            throttle.failed(numbered(attacker), "mark", now);
        }
        let delays = [1, 2, 3, 4, 4].map(|steps| Verdict::Delay(steps * SECOND / 4));
        assert_eq!(verdicts[..5], [Verdict::Allow; 5]);
        assert_eq!(verdicts[5..10], delays);
        assert!(verdicts[10..].iter().all(|verdict| *verdict == Verdict::Delay(SECOND)));
        assert_eq!(throttle.check(owner, "anna", now), Verdict::Allow);
        // Four steps and no more are remembered, however long the attack was.
        assert_eq!(throttle.check(owner, "mark", now + 40 * SECOND), Verdict::Allow);
    }

    #[test]
    fn success_forgives_the_login_at_this_address_and_nothing_else() {
        let (throttle, now) = (LoginThrottle::new(limits()), Instant::now());
        let here = address("192.0.2.1");
        for login in ["mark", "mark", "mark", "a", "b", "c"] {
            throttle.failed(here, login, now);
        }
        throttle.succeeded(here, "mark");
        assert_eq!(throttle.check(here, "mark", now), Verdict::Refuse { retry_after: 10 * SECOND });
        assert_eq!(throttle.check(here, "mark", now + 10 * SECOND), Verdict::Allow);
    }

    #[test]
    fn filling_the_tables_grows_nothing_and_locks_nobody_out() {
        let (throttle, now) = (LoginThrottle::new(limits()), Instant::now());
        for number in 0..100_000 {
            throttle.failed(numbered(number), &format!("login-{number}"), now + SECOND * (number / 10_000));
            assert!(sizes(&throttle).into_iter().all(|size| size <= 100));
        }
        assert_eq!(throttle.check(address("203.0.113.1"), "mark", now + 10 * SECOND), Verdict::Allow);
    }

    #[test]
    fn a_full_table_forgets_the_harmless_and_remembers_the_persistent() {
        let (throttle, now) = (LoginThrottle::new(limits()), Instant::now());
        let persistent = address("203.0.113.1");
        for _ in 0..3 {
            throttle.failed(persistent, "mark", now);
        }
        for number in 0..10_000 {
            throttle.failed(numbered(number), &format!("login-{number}"), now);
        }
        assert!(matches!(throttle.check(persistent, "mark", now), Verdict::Refuse { .. }));
    }

    #[test]
    fn senseless_limits_are_no_panic() {
        let none = FailureLimit { burst: 0, forget_one_in: Duration::ZERO };
        let most = FailureLimit { burst: u32::MAX, forget_one_in: Duration::MAX };
        for limit in [none, most] {
            let (slow_by, slow_at_most) = (limit.forget_one_in, limit.forget_one_in);
            let limits = ThrottleLimits {
                address: limit,
                login_and_address: limit,
                login: limit,
                slow_by,
                slow_at_most,
                entries: 0,
            };
            let (throttle, now) = (LoginThrottle::new(limits), Instant::now());
            for number in 0..10 {
                throttle.failed(numbered(number), "mark", now);
                throttle.check(numbered(number), "mark", now);
            }
        }
    }

    proptest! {
        #[test]
        fn a_table_never_outgrows_its_bound_nor_a_wait_its_capacity(
            failures in prop::collection::vec((0_u64..40, 0_u64..20), 0..300),
            max_entries in 1_usize..20,
        ) {
            let limit = FailureLimit { burst: 3, forget_one_in: 10 * SECOND };
            let mut table = Table::new(limit, 3, max_entries);
            let mut now = Instant::now();
            for (key, seconds) in failures {
                now += SECOND * u32::try_from(seconds).unwrap();
                table.add(key, now);
                prop_assert!(table.buckets.len() <= max_entries);
                prop_assert!(table.level(key, now) >= 10 * SECOND);
                prop_assert!(table.wait(key, now) <= 10 * SECOND);
            }
        }
    }
}
