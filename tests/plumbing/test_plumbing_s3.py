"""Objects and refs between a folder, an object store, and a folder behind a web server, by plumbing alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def test_there_and_back(dpk: Callable[..., Any], sales: Any, s3_url: str) -> None:
    """A package goes to S3 and from there to another folder; each lists the same, and is whole."""
    listed = dpk("rev-list", "--objects", "--all").stdout
    sent = dpk("send-objects", s3_url, stdin=listed).out
    assert sent.count("moved ") == listed.count(b"\n")
    assert dpk("send-objects", s3_url, stdin=listed).out.count("present ") == listed.count(b"\n")
    assert dpk("verify-object", "--stdin", "--store", s3_url, stdin=listed).out == ""
    tip, first = dpk("rev-list", "acme/sales").out.split()
    dpk("update-ref", "acme/sales", tip, "none", "--store", s3_url)
    dpk("update-ref", "acme/sales", first, "--tag", "v1", "--store", s3_url)
    dpk("update-ref", "acme/sales", first, first, "--store", s3_url, code=5)
    assert dpk("ls-remote", s3_url).out == dpk("ls-remote", sales.url).out
    assert dpk("rev-list", "--objects", "--all", "--store", s3_url).stdout == listed
    counted = [line.split()[:2] for line in dpk("count-objects", "-v").out.splitlines()]
    there = [line.split()[:2] for line in dpk("count-objects", "-v", "--store", s3_url).out.splitlines()]
    assert there == counted
    assert dpk("fetch-objects", s3_url, "--store", "./back", stdin=listed).out.count("moved ") == listed.count(b"\n")
    assert dpk("verify-object", "--stdin", "--store", "./back", stdin=listed).out == ""
    tree = dpk("rev-parse", "--tophash", "acme/sales", "--store", s3_url).out.strip()
    listing = dpk("ls-tree", "acme/sales", "--store", s3_url).stdout
    assert dpk("mktree", "--store", s3_url, stdin=listing).out.strip() == tree
    rows = ["read-table", "acme/sales/transactions", "--format", "csv"]
    assert dpk(*rows, "--store", s3_url).out == dpk(*rows).out
    assert "lacks 1 object" in dpk("fetch-objects", s3_url, "f" * 64, "--store", "./back", code=3).err
