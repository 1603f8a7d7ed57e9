import os
import unittest

import boto3
from moto import mock_aws

os.environ.update(AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="x", AWS_DEFAULT_REGION="us-east-1")


@mock_aws
class BucketsTest(unittest.TestCase):
    def setUp(self):
        self.client = boto3.client("s3")
        self.client.create_bucket(Bucket="one")

    def test_list(self):
        self.assertEqual([one["Name"] for one in self.client.list_buckets()["Buckets"]], ["one"])

    def test_is_new(self):
        self.client.create_bucket(Bucket="two")
        self.assertEqual(len(self.client.list_buckets()["Buckets"]), 2)

    def test_is_new_again(self):
        self.test_is_new()

    def test_put(self):
        self.client.put_object(Bucket="one", Key="k", Body=b"v")
        self.assertEqual(self.client.get_object(Bucket="one", Key="k")["Body"].read(), b"v")

    def test_missing(self):
        with self.assertRaises(self.client.exceptions.NoSuchKey):
            self.client.get_object(Bucket="one", Key="nothing")

    def test_missing_raises(self):
        self.client.get_object(Bucket="one", Key="nothing")


class MethodsTest(unittest.TestCase):
    @mock_aws
    def test_method(self):
        self.assertEqual(boto3.client("s3").list_buckets()["Buckets"], [])

    def test_context(self):
        with mock_aws():
            boto3.client("s3").create_bucket(Bucket="x")

    def test_left_started(self):
        mock_aws().start()
        self.assertEqual(boto3.client("s3").list_buckets()["Buckets"], [])

    @mock_aws
    def test_resource(self):
        boto3.resource("s3").create_bucket(Bucket="y")
        self.assertEqual([one.name for one in boto3.resource("s3").buckets.all()], ["y"])
