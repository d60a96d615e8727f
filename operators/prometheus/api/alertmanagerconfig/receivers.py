"""Receivers, as far as both versions of AlertmanagerConfig have them alike."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from controllerkit.schema import Int32, Int64
from operators.prometheus.api.core.meta import SecretKeySelector
from operators.prometheus.api.http import BasicAuth, OAuth2, ProxyConfig, SafeAuthorization, SafeTLSConfig, Sigv4
from operators.prometheus.api.types import URL, AtomicList, Duration, Model, NonEmptyString

__all__ = [
    "DiscordFields",
    "EmailFields",
    "EmailThreadingConfig",
    "HTTPFields",
    "KeyValue",
    "MSTeamsFields",
    "MSTeamsV2Fields",
    "OpsGenieConfigResponder",
    "OpsGenieFields",
    "PagerDutyFields",
    "PagerDutyImageConfig",
    "PagerDutyLinkConfig",
    "PushoverFields",
    "RocketChatActionConfig",
    "RocketChatFieldConfig",
    "RocketChatFields",
    "SNSFields",
    "SlackAction",
    "SlackConfirmationField",
    "SlackField",
    "SlackFields",
    "TelegramFields",
    "ThreadByDateType",
    "VictorOpsFields",
    "WeChatFields",
    "WebexFields",
    "WebhookFields",
]


ThreadByDateType = Literal["Daily", "None"]


class DiscordFields(Model):
    """What both versions say of Discord alike."""

    send_resolved: bool | None = None
    api_url: SecretKeySelector = Field(alias="apiURL")
    title: str | None = None
    message: str | None = None
    content: NonEmptyString | None = None
    username: NonEmptyString | None = None
    avatar_url: URL | None = Field(default=None, alias="avatarURL")


class HTTPFields(ProxyConfig):
    """What both versions say of a receiver's HTTP client alike."""

    authorization: SafeAuthorization | None = None
    basic_auth: BasicAuth | None = None
    oauth2: OAuth2 | None = None
    tls_config: SafeTLSConfig | None = None
    proxy_url_original: str | None = Field(default=None, alias="proxyURL")
    follow_redirects: bool | None = None
    enable_http2: bool | None = None


class EmailThreadingConfig(Model):
    """Which mails form a thread."""

    thread_by_date: ThreadByDateType


class EmailFields(Model):
    """What both versions say of mails alike."""

    send_resolved: bool | None = None
    to: NonEmptyString | None = None
    from_: NonEmptyString | None = Field(default=None, alias="from")
    hello: NonEmptyString | None = None
    smarthost: NonEmptyString | None = None
    auth_username: NonEmptyString | None = None
    auth_identity: NonEmptyString | None = None
    html: str | None = None
    text: NonEmptyString | None = None
    require_tls: bool | None = Field(default=None, alias="requireTLS")
    tls_config: SafeTLSConfig | None = None
    force_implicit_tls: bool | None = Field(default=None, alias="forceImplicitTLS")
    threading: EmailThreadingConfig | None = None


class KeyValue(Model):
    """A name and its value."""

    key: NonEmptyString
    value: str


class MSTeamsFields(Model):
    """What both versions say of Microsoft Teams' old webhooks alike."""

    send_resolved: bool | None = None
    webhook_url: SecretKeySelector
    title: str | None = None
    summary: str | None = None
    text: str | None = None


class MSTeamsV2Fields(Model):
    """What both versions say of Microsoft Teams' workflows alike."""

    send_resolved: bool | None = None
    webhook_url: SecretKeySelector | None = Field(default=None, alias="webhookURL")
    title: NonEmptyString | None = None
    text: NonEmptyString | None = None


class OpsGenieFields(Model):
    """What both versions say of OpsGenie alike."""

    send_resolved: bool | None = None
    api_url: URL | None = Field(default=None, alias="apiURL")
    message: NonEmptyString | None = None
    description: NonEmptyString | None = None
    source: NonEmptyString | None = None
    tags: NonEmptyString | None = None
    note: NonEmptyString | None = None
    priority: NonEmptyString | None = None
    entity: NonEmptyString | None = None
    actions: NonEmptyString | None = None


class OpsGenieConfigResponder(Model):
    """Who responds to an alert in OpsGenie."""

    id: NonEmptyString | None = None
    name: NonEmptyString | None = None
    username: NonEmptyString | None = None
    type: Literal["team", "teams", "user", "escalation", "schedule"] = Field(min_length=1)


class PagerDutyImageConfig(Model):
    """An image of an incident."""

    src: NonEmptyString | None = None
    href: str | None = None
    alt: NonEmptyString | None = None


class PagerDutyLinkConfig(Model):
    """A link of an incident."""

    href: str | None = None
    alt: NonEmptyString | None = None


class PagerDutyFields(Model):
    """What both versions say of PagerDuty alike."""

    send_resolved: bool | None = None
    url: URL | None = None
    client: NonEmptyString | None = None
    client_url: str | None = Field(default=None, alias="clientURL")
    description: NonEmptyString | None = None
    severity: NonEmptyString | None = None
    class_: NonEmptyString | None = Field(default=None, alias="class")
    group: NonEmptyString | None = None
    component: NonEmptyString | None = None
    details: AtomicList[KeyValue] | None = None
    pager_duty_image_configs: AtomicList[PagerDutyImageConfig] | None = None
    pager_duty_link_configs: AtomicList[PagerDutyLinkConfig] | None = None
    source: NonEmptyString | None = None
    timeout: Duration | None = None


class PushoverFields(Model):
    """What both versions say of Pushover alike."""

    send_resolved: bool | None = None
    title: NonEmptyString | None = None
    message: NonEmptyString | None = None
    url: str | None = None
    url_title: NonEmptyString | None = None
    ttl: Duration | None = None
    device: NonEmptyString | None = None
    sound: NonEmptyString | None = None
    priority: NonEmptyString | None = None
    retry: str | None = Field(
        default=None, pattern="^(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?$"
    )
    expire: str | None = Field(
        default=None, pattern="^(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?$"
    )
    html: bool | None = None
    monospace: bool | None = None


class RocketChatFields(Model):
    """What both versions say of Rocket.Chat alike."""

    send_resolved: bool | None = None
    api_url: URL | None = Field(default=None, alias="apiURL")
    channel: NonEmptyString | None = None
    token: SecretKeySelector
    token_id: SecretKeySelector = Field(alias="tokenID")
    color: NonEmptyString | None = None
    emoji: NonEmptyString | None = None
    icon_url: str | None = Field(default=None, alias="iconURL")
    text: NonEmptyString | None = None
    title: NonEmptyString | None = None
    title_link: NonEmptyString | None = None
    short_fields: bool | None = None
    image_url: str | None = Field(default=None, alias="imageURL")
    thumb_url: str | None = Field(default=None, alias="thumbURL")
    link_names: bool | None = None


class RocketChatActionConfig(Model):
    """A button of a message."""

    text: NonEmptyString | None = None
    url: str | None = None
    msg: NonEmptyString | None = None


class RocketChatFieldConfig(Model):
    """A field of a message."""

    title: NonEmptyString | None = None
    value: NonEmptyString | None = None
    short: bool | None = None


class SlackConfirmationField(Model):
    """What is asked before an action is done."""

    text: NonEmptyString
    title: NonEmptyString | None = None
    ok_text: NonEmptyString | None = None
    dismiss_text: NonEmptyString | None = None


class SlackAction(Model):
    """A button or a link of a message."""

    type: NonEmptyString
    text: NonEmptyString
    url: str | None = None
    style: NonEmptyString | None = None
    name: NonEmptyString | None = None
    value: NonEmptyString | None = None
    confirm: SlackConfirmationField | None = None


class SlackField(Model):
    """A field of a message."""

    title: NonEmptyString
    value: NonEmptyString
    short: bool | None = None


class SlackFields(Model):
    """What both versions say of Slack alike."""

    send_resolved: bool | None = None
    channel: NonEmptyString | None = None
    username: NonEmptyString | None = None
    color: NonEmptyString | None = None
    title: NonEmptyString | None = None
    title_link: str | None = None
    pretext: NonEmptyString | None = None
    text: NonEmptyString | None = None
    fields: AtomicList[SlackField] | None = Field(default=None, min_length=1)
    short_fields: bool | None = None
    footer: NonEmptyString | None = None
    fallback: NonEmptyString | None = None
    callback_id: NonEmptyString | None = None
    icon_emoji: NonEmptyString | None = None
    icon_url: str | None = Field(default=None, alias="iconURL")
    image_url: str | None = Field(default=None, alias="imageURL")
    thumb_url: str | None = Field(default=None, alias="thumbURL")
    link_names: bool | None = None
    mrkdwn_in: AtomicList[NonEmptyString] | None = Field(default=None, min_length=1)
    actions: AtomicList[SlackAction] | None = Field(default=None, min_length=1)
    timeout: Duration | None = None
    message_text: NonEmptyString | None = None
    update_message: bool | None = None


class SNSFields(Model):
    """What both versions say of SNS alike."""

    send_resolved: bool | None = None
    api_url: str | None = Field(default=None, alias="apiURL")
    sigv4: Sigv4 | None = None
    topic_arn: NonEmptyString | None = Field(default=None, alias="topicARN")
    subject: NonEmptyString | None = None
    phone_number: NonEmptyString | None = None
    target_arn: NonEmptyString | None = Field(default=None, alias="targetARN")
    message: NonEmptyString | None = None
    attributes: dict[str, str] | None = None
    use_aws_http_client: bool | None = Field(default=None, alias="useAWSHTTPClient")


class TelegramFields(Model):
    """What both versions say of Telegram alike."""

    send_resolved: bool | None = None
    api_url: URL | None = Field(default=None, alias="apiURL")
    bot_token_file: str | None = None
    chat_id: Int64 = Field(alias="chatID")
    message_thread_id: Int64 | None = Field(default=None, alias="messageThreadID")
    message: str | None = None
    disable_notifications: bool | None = None
    parse_mode: Literal["MarkdownV2", "Markdown", "HTML"] | None = None


class VictorOpsFields(Model):
    """What both versions say of VictorOps alike."""

    send_resolved: bool | None = None
    api_url: URL | None = None
    routing_key: NonEmptyString
    message_type: NonEmptyString | None = None
    entity_display_name: NonEmptyString | None = None
    state_message: NonEmptyString | None = None
    monitoring_tool: NonEmptyString | None = None
    custom_fields: AtomicList[KeyValue] | None = None


class WebexFields(Model):
    """What both versions say of Webex alike."""

    send_resolved: bool | None = None
    api_url: URL | None = Field(default=None, alias="apiURL")
    message: str | None = None
    room_id: NonEmptyString = Field(alias="roomID")


class WebhookFields(Model):
    """What both versions say of webhooks alike."""

    send_resolved: bool | None = None
    url: str | None = None
    max_alerts: Int32 | None = Field(default=None, ge=0)
    timeout: Duration | None = None
    payload: NonEmptyString | None = None


class WeChatFields(Model):
    """What both versions say of WeChat alike."""

    send_resolved: bool | None = None
    api_url: URL | None = Field(default=None, alias="apiURL")
    corp_id: NonEmptyString | None = Field(default=None, alias="corpID")
    agent_id: NonEmptyString | None = Field(default=None, alias="agentID")
    to_user: NonEmptyString | None = None
    to_party: NonEmptyString | None = None
    to_tag: NonEmptyString | None = None
    message: NonEmptyString | None = None
    message_type: NonEmptyString | None = None
