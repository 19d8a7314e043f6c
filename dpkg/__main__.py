"""`python -m dpkg` is `dpk`."""

from dpkg.cli.main import run

if __name__ == "__main__":
    run()
