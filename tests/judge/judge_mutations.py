"""Ways to spoil a transaction, or to leave it whole: each changes a case in place.

What a change does to the verdict is not said here; both ledgers are asked.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from judge_cases import Case
from judge_inputs import (
    empty_witness_lists,
    expires,
    far_future,
    forged_signature_of_a_weak_key,
    input_index_too_large,
    input_left_out,
    input_of_another,
    input_spent,
    input_spent_in_a_block,
    input_spent_in_the_mempool,
    input_twice,
    input_unknown,
    input_unknown_besides,
    inputs_out_of_order,
    interval_upside_down,
    key_flipped,
    metadata_changed,
    metadata_hash_alone,
    metadata_of_any_form,
    metadata_removed,
    metadata_unsigned,
    metadata_with_a_key_twice,
    no_inputs,
    sets_without_their_tag,
    signature_besides,
    signature_flipped,
    signature_missing,
    signature_of_a_stranger,
    signature_of_another_transaction,
    signature_twice,
    signers_required,
    signers_required_oddly,
    starts,
    timeless,
)
from judge_outputs import (
    address_of_a_pointer,
    address_of_a_stake_key,
    address_of_a_wrong_length,
    body_network,
    fee_at_its_minimum,
    fee_only,
    huge_amount,
    huge_amount_held,
    huge_amounts_summed,
    lovelace_from_nowhere,
    many_outputs,
    negative_tokens,
    no_outputs,
    no_tokens_said_at_length,
    of_many_bytes,
    output_at_its_minimum,
    output_in_array_form,
    output_of_nothing,
    output_to_a_network_that_is_not,
    output_to_a_script,
    output_to_mainnet,
    token_renamed,
    tokens_from_nowhere,
    value_of_many_bytes,
    zero_tokens,
)
from judge_scripts import (
    bootstrap_witness,
    burned,
    byte_flipped,
    cut_short,
    deep_script,
    fee_at_length,
    guarded_by_time,
    guarded_input,
    key_of_the_body_twice,
    lists_without_length,
    mint_empty,
    mint_left_out,
    minted,
    minted_more_than_said,
    minted_without_a_policy,
    minted_zero,
    odd_script,
    says_its_scripts_fail,
    script_besides,
    script_missing,
    script_twice,
    scripts_in_auxiliary_data,
    scripts_out_of_order,
    unjudged_output,
    unjudged_part,
    unjudged_witness,
    without_is_valid,
)

Mutation = Callable[[Random, Case], object]


def nothing(_rng: Random, _case: Case) -> None:
    """Leave it as it was built."""


MUTATIONS: dict[Mutation, int] = {
    nothing: 16,
    output_at_its_minimum: 3,
    fee_at_its_minimum: 4,
    expires: 3,
    starts: 3,
    guarded_input: 4,
    guarded_by_time: 4,
    minted: 3,
    body_network: 2,
    value_of_many_bytes: 2,
    signers_required: 2,
    sets_without_their_tag: 2,
    zero_tokens: 4,
    far_future: 4,
    input_twice: 4,
    key_of_the_body_twice: 2,
    **dict.fromkeys(
        (
            lovelace_from_nowhere, tokens_from_nowhere, token_renamed, no_outputs,
            output_of_nothing, no_tokens_said_at_length, negative_tokens, huge_amount,
            huge_amount_held, huge_amounts_summed, many_outputs, output_in_array_form,
            output_to_mainnet,
            output_to_a_network_that_is_not, output_to_a_script, address_of_a_wrong_length,
            address_of_a_stake_key, address_of_a_pointer, fee_only, of_many_bytes,
            input_unknown, input_unknown_besides, input_spent, input_spent_in_the_mempool,
            input_spent_in_a_block, no_inputs, input_left_out, inputs_out_of_order,
            input_of_another, input_index_too_large, interval_upside_down, timeless,
            signature_missing, signature_besides, signature_of_a_stranger,
            signature_of_another_transaction, signature_flipped, key_flipped, signature_twice,
            forged_signature_of_a_weak_key, signers_required_oddly, empty_witness_lists,
            metadata_changed, metadata_removed, metadata_unsigned, metadata_hash_alone,
            metadata_of_any_form, metadata_with_a_key_twice, script_missing, script_besides,
            script_twice, scripts_out_of_order, deep_script, odd_script, minted_without_a_policy,
            burned, minted_more_than_said, minted_zero, mint_left_out, mint_empty,
            says_its_scripts_fail, without_is_valid, byte_flipped, cut_short, fee_at_length,
            lists_without_length, unjudged_part, unjudged_output,
            unjudged_witness, bootstrap_witness, scripts_in_auxiliary_data,
        ),
        1,
    ),
}  # fmt: skip
"""Every mutation, and how often it is chosen compared with the others."""

PRELUDES: tuple[Mutation, ...] = (
    expires, starts, guarded_input, guarded_by_time, minted, signers_required, many_outputs,
    output_to_a_script, inputs_out_of_order, metadata_of_any_form,
)  # fmt: skip
"""Mutations that leave a form which any other can go on with."""
