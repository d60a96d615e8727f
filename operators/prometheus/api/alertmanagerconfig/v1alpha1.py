"""The kind AlertmanagerConfig in v1alpha1, which is stored."""

from __future__ import annotations

from pydantic import Field, JsonValue

from operators.prometheus.api.alertmanagerconfig.receivers import (
    DiscordFields,
    EmailFields,
    HTTPFields,
    KeyValue,
    MSTeamsFields,
    MSTeamsV2Fields,
    OpsGenieConfigResponder,
    OpsGenieFields,
    PagerDutyFields,
    PushoverFields,
    RocketChatActionConfig,
    RocketChatFieldConfig,
    RocketChatFields,
    SlackFields,
    SNSFields,
    TelegramFields,
    VictorOpsFields,
    WebexFields,
    WebhookFields,
    WeChatFields,
)
from operators.prometheus.api.alertmanagerconfig.routing import (
    DayOfMonthRange,
    MatchType,
    MonthRange,
    RouteFields,
    TimeRange,
    WeekdayRange,
    YearRange,
)
from operators.prometheus.api.core.meta import SecretKeySelector
from operators.prometheus.api.status import ConfigResourceStatus
from operators.prometheus.api.types import (
    CATEGORIES,
    GROUP,
    AtomicList,
    ListByName,
    Model,
    MonitoringResource,
    NonEmptyString,
    SetList,
)

__all__ = [
    "AlertmanagerConfig",
    "AlertmanagerConfigSpec",
    "DiscordConfig",
    "EmailConfig",
    "HTTPConfig",
    "InhibitRule",
    "MSTeamsConfig",
    "MSTeamsV2Config",
    "Matcher",
    "MuteTimeInterval",
    "OpsGenieConfig",
    "PagerDutyConfig",
    "PushoverConfig",
    "Receiver",
    "RocketChatConfig",
    "Route",
    "SNSConfig",
    "SlackConfig",
    "TelegramConfig",
    "TimeInterval",
    "VictorOpsConfig",
    "WeChatConfig",
    "WebexConfig",
    "WebhookConfig",
]


class Matcher(Model):
    """A condition on a label of alerts."""

    name: NonEmptyString
    value: str | None = None
    match_type: MatchType | None = None
    regex: bool | None = None


class InhibitRule(Model):
    """Alerts that are kept back while others fire."""

    target_match: AtomicList[Matcher] | None = None
    source_match: AtomicList[Matcher] | None = None
    equal: AtomicList[str] | None = None


class TimeInterval(Model):
    """Times of the day, week, month and year, all of which match."""

    times: AtomicList[TimeRange] | None = None
    weekdays: AtomicList[WeekdayRange] | None = None
    days_of_month: AtomicList[DayOfMonthRange] | None = None
    months: AtomicList[MonthRange] | None = None
    years: AtomicList[YearRange] | None = None


class MuteTimeInterval(Model):
    """Times that routes name."""

    name: str
    time_intervals: AtomicList[TimeInterval] | None = None


class HTTPConfig(HTTPFields):
    """The HTTP client of a receiver."""

    bearer_token_secret: SecretKeySelector | None = None


class DiscordConfig(DiscordFields):
    """Messages to Discord."""

    http_config: HTTPConfig | None = None


class EmailConfig(EmailFields):
    """Mails."""

    auth_password: SecretKeySelector | None = None
    auth_secret: SecretKeySelector | None = None
    headers: AtomicList[KeyValue] | None = None


class MSTeamsConfig(MSTeamsFields):
    """Messages to Microsoft Teams by its old webhooks."""

    http_config: HTTPConfig | None = None


class MSTeamsV2Config(MSTeamsV2Fields):
    """Messages to Microsoft Teams by its workflows."""

    http_config: HTTPConfig | None = None


class OpsGenieConfig(OpsGenieFields):
    """Alerts to OpsGenie."""

    api_key: SecretKeySelector | None = None
    update_alerts: bool | None = None
    details: AtomicList[KeyValue] | None = None
    responders: AtomicList[OpsGenieConfigResponder] | None = None
    http_config: HTTPConfig | None = None


class PagerDutyConfig(PagerDutyFields):
    """Events to PagerDuty."""

    routing_key: SecretKeySelector | None = None
    service_key: SecretKeySelector | None = None
    http_config: HTTPConfig | None = None


class PushoverConfig(PushoverFields):
    """Messages to Pushover."""

    user_key: SecretKeySelector | None = None
    user_key_file: NonEmptyString | None = None
    token: SecretKeySelector | None = None
    token_file: NonEmptyString | None = None
    http_config: HTTPConfig | None = None


class RocketChatConfig(RocketChatFields):
    """Messages to Rocket.Chat."""

    fields: AtomicList[RocketChatFieldConfig] | None = Field(default=None, min_length=1)
    actions: AtomicList[RocketChatActionConfig] | None = Field(default=None, min_length=1)
    http_config: HTTPConfig | None = None


class SlackConfig(SlackFields):
    """Messages to Slack."""

    api_url: SecretKeySelector | None = Field(default=None, alias="apiURL")
    http_config: HTTPConfig | None = None


class SNSConfig(SNSFields):
    """Messages to SNS of AWS."""

    http_config: HTTPConfig | None = None


class TelegramConfig(TelegramFields):
    """Messages to Telegram."""

    bot_token: SecretKeySelector | None = None
    http_config: HTTPConfig | None = None


class VictorOpsConfig(VictorOpsFields):
    """Alerts to VictorOps."""

    api_key: SecretKeySelector | None = None
    http_config: HTTPConfig | None = None


class WebexConfig(WebexFields):
    """Messages to Webex."""

    http_config: HTTPConfig | None = None


class WebhookConfig(WebhookFields):
    """Requests to any HTTP endpoint."""

    url_secret: SecretKeySelector | None = None
    http_config: HTTPConfig | None = None


class WeChatConfig(WeChatFields):
    """Messages to WeChat."""

    api_secret: SecretKeySelector | None = None
    http_config: HTTPConfig | None = None


class Receiver(Model):
    """Who is told, in every way that is named."""

    name: NonEmptyString
    opsgenie_configs: AtomicList[OpsGenieConfig] | None = None
    pagerduty_configs: AtomicList[PagerDutyConfig] | None = None
    discord_configs: AtomicList[DiscordConfig] | None = None
    slack_configs: AtomicList[SlackConfig] | None = None
    webhook_configs: AtomicList[WebhookConfig] | None = None
    wechat_configs: AtomicList[WeChatConfig] | None = None
    email_configs: AtomicList[EmailConfig] | None = None
    victorops_configs: AtomicList[VictorOpsConfig] | None = None
    pushover_configs: AtomicList[PushoverConfig] | None = None
    sns_configs: AtomicList[SNSConfig] | None = None
    telegram_configs: AtomicList[TelegramConfig] | None = None
    webex_configs: AtomicList[WebexConfig] | None = None
    msteams_configs: AtomicList[MSTeamsConfig] | None = None
    msteamsv2_configs: AtomicList[MSTeamsV2Config] | None = None
    rocketchat_configs: AtomicList[RocketChatConfig] | None = None


class Route(RouteFields):
    """Which alerts go where, and how they are grouped."""

    group_by: SetList[str] | None = None
    matchers: AtomicList[Matcher] | None = None
    routes: AtomicList[JsonValue] | None = None
    mute_time_intervals: SetList[str] | None = None
    active_time_intervals: SetList[str] | None = None


class AlertmanagerConfigSpec(Model):
    """A route, its receivers, and what keeps alerts back."""

    route: Route | None = None
    receivers: ListByName[Receiver] | None = None
    inhibit_rules: AtomicList[InhibitRule] | None = None
    mute_time_intervals: AtomicList[MuteTimeInterval] | None = None


class AlertmanagerConfig(
    MonitoringResource,
    group=GROUP,
    version="v1alpha1",
    short_names=["amcfg"],
    categories=CATEGORIES,
    storage=True,
):
    """A part of Alertmanager's configuration, for the alerts of its namespace."""

    spec: AlertmanagerConfigSpec
    status: ConfigResourceStatus | None = None
