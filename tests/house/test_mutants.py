"""Laws are broken on purpose where they are: a mutant that hits nothing, or whose test is not there, proves nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.protocol_mutants import MUTANTS as PROTOCOL
from tests.lab.protocol_mutants import Mutant, edited
from tests.lab.soak_mutants import LAWS

ROOT = Path(__file__).parent.parent.parent
APPLIED = """
import inspect, sys
from tests.lab.soak_mutants import LAWS, MUTANTS

def places():
    modules = [module for name, module in sorted(sys.modules.items()) if name.startswith("poller")]
    classes = [each for module in modules for each in vars(module).values() if inspect.isclass(each) and each.__module__.startswith("poller")]
    return {(getattr(place, "__module__", ""), place.__name__): set(vars(place)) for place in (*modules, *classes)}

before = places()
for mutant in (*MUTANTS.values(), *(law for law, _ in LAWS.values())):
    mutant()
print({place: names - before[place] for place, names in places().items() if names - before[place]} or "nothing new")
"""


def test_every_test_of_a_mutant_is_there() -> None:
    """The file that must go red exists."""
    assert not [test for _, test in LAWS.values() if not (ROOT / test).is_file()]


@pytest.mark.parametrize("mutant", PROTOCOL, ids=[mutant.name for mutant in PROTOCOL])
def test_an_edit_of_a_mutant_fits_one_place(mutant: Mutant) -> None:
    """And the tests that must find it are there."""
    compile(edited(mutant), mutant.file, "exec")
    assert not [test for test in mutant.tests.split() if not (ROOT / test).is_file()]


def test_a_mutant_replaces_what_the_product_has() -> None:
    """No mutant makes a name that nobody looks up."""
    done = subprocess.run([sys.executable, "-c", APPLIED], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("nothing new", 0), done
