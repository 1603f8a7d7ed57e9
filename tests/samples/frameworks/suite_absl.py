from absl import flags
from absl.testing import absltest, flagsaver, parameterized

flags.DEFINE_integer("size_of_suite", 3, "a flag of the suite")
FLAGS = flags.FLAGS


class FlagsTest(absltest.TestCase):
    @flagsaver.flagsaver(size_of_suite=5)
    def test_saver(self):
        self.assertEqual(FLAGS.size_of_suite, 5)

    def test_default(self):
        self.assertEqual(FLAGS.size_of_suite, 3)

    def test_temporary_file(self):
        file = self.create_tempfile("name", "content")
        self.assertEqual(file.read_text(), "content")

    def test_temporary_directory(self):
        self.assertNotEmpty(self.create_tempdir().full_path)

    def test_assertions(self):
        self.assertBetween(2, 1, 3)
        self.assertSameElements([1, 2], [2, 1, 1])

    def test_structure_fails(self):
        self.assertDictEqual({"a": 1}, {"a": 2})

    @absltest.skipThisClass("only a base")
    class Base(absltest.TestCase):
        pass

    @absltest.unittest.expectedFailure
    def test_expected(self):
        self.fail()


class ParametersTest(parameterized.TestCase):
    @parameterized.parameters((1, 2), (2, 3), (3, 5))
    def test_next(self, number, following):
        self.assertEqual(number + 1, following)

    @parameterized.named_parameters(("one", 1), {"testcase_name": "two", "number": 2})
    def test_named(self, number):
        self.assertGreater(number, 0)

    @parameterized.product(a=[1, 2], b=["x", "y"])
    def test_product(self, a, b):
        self.assertLen(b, 1)


FLAGS.mark_as_parsed()
