"""tests/kill-test at the size that every run of the tests can afford."""

import subprocess
import unittest

import harness


class KillTest(unittest.TestCase):

    def test_ten_kills_of_the_daemon_and_two_of_the_database_lose_and_double_nothing(self):
        done = subprocess.run([harness.ROOT / "tests/kill-test", "--events", "100000",
                               "--daemon-kills", "10", "--database-kills", "2"],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False)
        print(done.stdout)
        self.assertEqual(done.returncode, 0)


if __name__ == "__main__":
    unittest.main()
