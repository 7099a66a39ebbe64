"""The description of the HTTP API, as a validator that nobody here wrote reads it."""

import json
import os
import unittest
from urllib.request import urlopen

from openapi_spec_validator import OpenAPIV31SpecValidator


class Description(unittest.TestCase):
    def test_it_is_valid_openapi(self):
        with urlopen(f"http://{os.environ['SERVER']}/openapi.json", timeout=30) as answer:
            description = json.load(answer)
        mistakes = [f"{'/'.join(map(str, error.path))}: {error.message}"
                    for error in OpenAPIV31SpecValidator(description).iter_errors()]
        self.assertEqual(mistakes, [])
        self.assertGreater(len(description["paths"]), 20)

    def test_the_validator_sees_mistakes(self):
        mistaken = {"openapi": "3.1.0", "info": {"title": "t"}, "paths": {}}
        self.assertTrue(list(OpenAPIV31SpecValidator(mistaken).iter_errors()))


if __name__ == "__main__":
    unittest.main()
