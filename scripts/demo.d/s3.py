#!/usr/bin/env python3
"""What the demo's application does with its object store, and how its proof looks into it: S3 by hand, standard library only.

  s3.py make BUCKET…                new buckets
  s3.py versions BUCKET             keep older versions from now on
  s3.py put BUCKET FILES            uploads FILES/KEY for each key
  s3.py delete BUCKET               deletes each key, as an application does
  s3.py delete-version BUCKET       deletes the version `null` of each key, for good
  s3.py md5 BUCKET                  prints KEY<tab>MD5 of what is there, each key read whole; nothing for a key that is not there

Keys come on standard input, one a line. S3_ENDPOINT, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY say where and who.
"""

import datetime
import hashlib
import hmac
import http.client
import os
import pathlib
import sys
import threading
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

ENDPOINT = urllib.parse.urlsplit(os.environ["S3_ENDPOINT"])
ID, SECRET = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
REGION = os.environ.get("AWS_REGION", "us-east-1")
connections = threading.local()


def signed(method, path, query, body, headers):
    """Headers with a signature, AWS Signature Version 4."""
    now = datetime.datetime.now(datetime.timezone.utc)
    stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    digest = hashlib.sha256(body).hexdigest()
    headers = {**headers, "host": ENDPOINT.netloc, "x-amz-date": stamp, "x-amz-content-sha256": digest}
    names = sorted(headers)
    request = "\n".join([method, path, query, *(f"{n}:{headers[n]}" for n in names), "", ";".join(names), digest])
    scope = f"{day}/{REGION}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = f"AWS4{SECRET}".encode()
    for part in (day, REGION, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = (f"AWS4-HMAC-SHA256 Credential={ID}/{scope}, SignedHeaders={';'.join(names)}, "
                                f"Signature={signature}")
    return headers


def ask(method, bucket, key="", query="", body=b"", headers=None):
    """One request, on a connection of this thread; (status, body). Any answer but success and 404 ends the program."""
    path = "/" + bucket + ("/" + urllib.parse.quote(key, safe="/-_.~") if key else "")
    if not hasattr(connections, "open"):
        connections.open = http.client.HTTPConnection(ENDPOINT.hostname, ENDPOINT.port, timeout=60)
    connection = connections.open
    connection.request(method, path + ("?" + query if query else ""), body, signed(method, path, query, body, headers or {}))
    answer = connection.getresponse()
    content = answer.read()
    if answer.status >= 300 and answer.status != 404:
        sys.exit(f"s3.py: {method} {path}: {answer.status} {content.decode(errors='replace')[:300]}")
    return answer.status, content


def each(action):
    """The action on every key of standard input, a few at a time; prints what it returns."""
    keys = [line.rstrip("\n") for line in sys.stdin]
    with ThreadPoolExecutor(8) as pool:
        for said in pool.map(action, keys):
            if said:
                print(said)


def put(bucket, files):
    header = {"content-type": "application/pdf"}
    each(lambda key: ask("PUT", bucket, key, body=(pathlib.Path(files) / key).read_bytes(), headers=header) and None)


def md5(bucket):
    def look(key):
        status, content = ask("GET", bucket, key)
        return None if status == 404 else f"{key}\t{hashlib.md5(content).hexdigest()}"
    each(look)


def main(verb, bucket, *more):
    if verb == "make":
        for name in (bucket, *more):
            ask("PUT", name)
    elif verb == "versions":
        ask("PUT", bucket, query="versioning=",
            body=b'<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
                 b"<Status>Enabled</Status></VersioningConfiguration>")
    elif verb == "put":
        put(bucket, *more)
    elif verb == "delete":
        each(lambda key: ask("DELETE", bucket, key) and None)
    elif verb == "delete-version":
        each(lambda key: ask("DELETE", bucket, key, query="versionId=null") and None)
    elif verb == "md5":
        md5(bucket)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(*sys.argv[1:])
