"""A small program that uses boto3 to keep notes in a bucket."""

import boto3


class Notes:
    """Notes in an S3 bucket."""

    def __init__(self, bucket="notes", endpoint_url=None):
        self._bucket = bucket
        self._s3 = boto3.client("s3", endpoint_url=endpoint_url, region_name="us-east-1")

    def prepare(self):
        """Create the bucket."""
        self._s3.create_bucket(Bucket=self._bucket)

    def execute(self, text):
        """Store a note; return the number of notes."""
        number = len(self.names()) + 1
        self._s3.put_object(Bucket=self._bucket, Key=f"note-{number}", Body=text.encode())
        return number

    def names(self):
        """Return the names of all notes."""
        found = self._s3.list_objects_v2(Bucket=self._bucket)
        return [one["Key"] for one in found.get("Contents", [])]

    def close(self):
        """Close the connections."""
        self._s3.close()
