"""A real kube-apiserver asks a webhook of ours whose a token is."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from controllerkit.client import Client
from controllerkit.devcluster.binaries import BinaryCache
from controllerkit.devcluster.control_plane import ControlPlane
from controllerkit.devcluster.pki import Authority
from controllerkit.errors import Unauthorized
from controllerkit.testing import FaultyTransport
from controllerkit.webhook import FileCertificates, TokenAnswer, TokenQuestion, UserInfo, WebhookServer
from controllerkit.wire import HttpTransport, load_credentials

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]
SELF = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


async def know_anna(question: TokenQuestion) -> TokenAnswer:
    if question.token == "sesame":
        return TokenAnswer.known(UserInfo("anna", "7", ("staff",)), *question.audiences)
    return TokenAnswer.unknown("nobody's")


async def test_the_api_server_takes_the_webhooks_word_for_whose_a_token_is(tmp_path: Path) -> None:
    authority = Authority.create("webhooks")
    files = authority.issue("webhooks", addresses=["127.0.0.1"]).write(tmp_path, "tls")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    asked = tmp_path / "authentication.json"
    asked.write_text(json.dumps(config(f"https://127.0.0.1:{port}/authenticate", authority.save(tmp_path))))
    flags = [f"--authentication-token-webhook-config-file={asked}", "--authentication-token-webhook-version=v1"]
    webhooks = WebhookServer(FileCertificates(*files), host="127.0.0.1", port=port)
    webhooks.authenticate("/authenticate", know_anna)
    plane = ControlPlane(
        cache=BinaryCache(), data_dir=tmp_path / "plane", with_controllers=False, api_server_flags=flags
    )
    async with plane, await Client.connect(kubeconfig=plane.kubeconfig) as admin:
        await webhooks.start(admin)
        try:
            review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
            async with await client_with(plane, "sesame") as anna:
                told = await anna.request_json("POST", SELF, review)
            assert told["status"]["userInfo"]["username"] == "anna"
            assert told["status"]["userInfo"]["groups"] == ["staff", "system:authenticated"]
            async with await client_with(plane, "open") as nobody:
                with pytest.raises(Unauthorized):
                    await nobody.request_json("POST", SELF, review)
            told = await admin.request_json("POST", SELF, review)
            assert told["status"]["userInfo"]["username"] == "admin", "others are asked too"
        finally:
            await webhooks.stop()


async def client_with(plane: ControlPlane, token: str) -> Client:
    credentials = await load_credentials(kubeconfig=plane.kubeconfig)
    credentials.token = token
    return Client(FaultyTransport(HttpTransport(credentials)))


def config(url: str, authority: Path) -> dict[str, object]:
    """The kubeconfig that names the webhook; its users are how the API server shows itself."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "webhook", "cluster": {"server": url, "certificate-authority": str(authority)}}],
        "users": [{"name": "api-server", "user": {}}],
        "contexts": [{"name": "webhook", "context": {"cluster": "webhook", "user": "api-server"}}],
        "current-context": "webhook",
    }
