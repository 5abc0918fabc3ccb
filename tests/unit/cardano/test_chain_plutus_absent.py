"""Without the extra `plutus` no transaction with scripts is taken, and it says the cure."""

from __future__ import annotations

import sys

import pytest

from nunet_dms.cardano import chain
from nunet_dms.cardano.chain.ledger import check_transaction, read_bounded
from nunet_dms.errors import RefusedError
from tests.unit.cardano.plutus_world import spend


@pytest.mark.parametrize("program", ["always_true", "always_fails"])
@pytest.mark.parametrize("missing", ["nunet_dms.cardano.chain.evaluator", "uplc", "frozendict"])
def test_a_transaction_with_scripts_is_refused(
    monkeypatch: pytest.MonkeyPatch, program: str, missing: str
) -> None:
    case = spend(program, cost_model=(1, 2, 3))
    for name in ("evaluator", "flat", "uplc_data"):
        monkeypatch.delattr(chain, name, raising=False)
        monkeypatch.delitem(sys.modules, f"nunet_dms.cardano.chain.{name}", raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(RefusedError) as refusal:
        check_transaction(read_bounded(case.raw()), case.state())
    assert refusal.value.code == "unsupported"
    assert str(refusal.value) == (
        "cannot take the transaction: it uses Plutus, and the extra nunet-dms[plutus] is not "
        "installed"
    )
    assert refusal.value.hint == "pip install 'nunet-dms[plutus]'"
