"""Planted defects: one line of the product replaced by a wrong one while a block lasts."""

import ast
import inspect
import textwrap
from contextlib import contextmanager


@contextmanager
def planted(function, line, instead):
    """Run a block with one piece of a function's source replaced by another.

    Whoever holds the function, by whatever name or class, calls the changed one.

    :param function: function or method of the product
    :param str line: the piece replaced; stands in the function's source exactly once
    :param str instead: what stands there during the block
    :raise LookupError: where the piece is not there, or more than once
    """
    function = inspect.unwrap(function)
    function = getattr(function, "__func__", function)
    code = function.__code__
    source = textwrap.dedent(inspect.getsource(function))
    found = source.count(line)
    if found != 1:
        raise LookupError(f"{line!r} stands {found} times in {function.__qualname__}.")
    function.__code__ = _compiled(code, source.replace(line, instead))
    try:
        yield
    finally:
        function.__code__ = code


def _compiled(code, source):
    """Return the code of a function's changed source, with the free variables it had."""
    tree = ast.parse(source)
    # Decorators stay as they are: only what the function does is replaced.
    tree.body[0].decorator_list = []
    names = code.co_freevars
    outer = ast.parse("def outer():\n    " + "\n    ".join([f"{n} = None" for n in names] or ["0"]))
    outer.body[0].body.extend(tree.body)
    module = compile(ast.fix_missing_locations(outer), code.co_filename, "exec")
    for of_outer in _codes(module):
        for changed in _codes(of_outer):
            if changed.co_name == code.co_name:
                return changed
    raise LookupError(f"{code.co_name} was not found in its own source.")


def _codes(code):
    return [constant for constant in code.co_consts if inspect.iscode(constant)]


class PropertyCase:
    """For test cases whose checks must each catch a planted defect."""

    def holds(self, check, *defects):
        """A property holds, and its check fails where the product has one of these defects.

        :param check: function without arguments that makes a situation and asserts the property
        :param defects: tuples of what `planted` takes
        """
        for defect in defects:
            # What was done with the defect is rolled back with it.
            with (
                self.subTest(defect=defect[2]),
                self.assertRaises(AssertionError),
                planted(*defect),
            ):
                check()
            self.env.invalidate_all()
        check()
