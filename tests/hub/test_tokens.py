"""A token goes to the endpoint that it was made for, and nowhere else; nobody gets to read it."""

from urllib.parse import quote

import pytest
from huggingface_hub import constants

from umzoo.errors import WeightsError
from umzoo.hub.client import PUBLIC_HUB, Access
from umzoo.hub.errors import one_line
from umzoo.hub.pulling.references import resolve
from umzoo.hub.token_masking import masked


@pytest.fixture
def saved(hub, tmp_path, monkeypatch):
    """What ``hf auth login`` saved."""
    (tmp_path / "hf" / "token").parent.mkdir(exist_ok=True)
    (tmp_path / "hf" / "token").write_text("saved-for-huggingface")
    monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
    return "saved-for-huggingface"


@pytest.mark.parametrize("value", [None, "", " ", "\t\n"])
def test_a_saved_token_stays_here(hub, saved, monkeypatch, value):
    """Whether HF_TOKEN is unset, empty or blank."""
    monkeypatch.delenv("HF_TOKEN")
    if value is not None:
        monkeypatch.setenv("HF_TOKEN", value)
    for token in (None, False, "", " "):
        with pytest.raises(WeightsError):
            resolve("lab/none", token=token)
    assert hub.requests and all(request.token is None for request in hub.requests)
    with pytest.raises(WeightsError, match="no token for"):
        _ = Access(token=True).credential


def test_tokens_that_are_given_are_sent(hub, saved, monkeypatch):
    assert Access(token="mine").credential == "mine"
    assert Access().credential is None, "HF_TOKEN is set, and the client takes it"
    monkeypatch.setattr(constants, "ENDPOINT", PUBLIC_HUB)
    monkeypatch.delenv("HF_TOKEN")
    assert Access().credential is None and Access(token=True).credential is True
    monkeypatch.setenv("HF_TOKEN", "")
    assert Access().credential is False


@pytest.mark.parametrize("token", ["opaque/secret+value==", "hf_abcdefghijkl", "plain-word-token"])
def test_echoed_tokens_are_masked(hub, monkeypatch, token):
    """Whatever their form, and in whatever form they are said back."""
    for given in (True, False):
        if given:
            _ = Access(token=token).credential
        else:
            monkeypatch.setenv("HF_TOKEN", token)
        text = f"bad token {token}, {quote(token, safe='')}; Authorization: Bearer {token}"
        with pytest.raises(WeightsError) as failure, one_line("no"):
            raise OSError(text)
        assert token not in str(failure.value) and quote(token, safe="") not in str(failure.value)


def test_passwords_in_addresses_are_masked():
    assert masked("https://me:word@host/x and Bearer abcdefgh") == "https://***@host/x and Bearer ***"
