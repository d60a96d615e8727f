"""The kind AlertmanagerConfig in v1beta1; it is served where a webhook converts."""

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
from operators.prometheus.api.status import ConfigResourceStatus
from operators.prometheus.api.types import CATEGORIES, GROUP, Model, MonitoringResource, NonEmptyString

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
    "OpsGenieConfig",
    "PagerDutyConfig",
    "PushoverConfig",
    "Receiver",
    "RocketChatConfig",
    "Route",
    "SNSConfig",
    "SecretKeySelector",
    "SlackConfig",
    "TelegramConfig",
    "TimeInterval",
    "TimePeriod",
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


class InhibitRule(Model):
    """Alerts that are kept back while others fire."""

    target_match: list[Matcher] | None = None
    source_match: list[Matcher] | None = None
    equal: list[str] | None = None


class SecretKeySelector(Model):
    """A key of a Secret in the same namespace; both are named."""

    name: NonEmptyString
    key: NonEmptyString


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
    headers: list[KeyValue] | None = None


class MSTeamsConfig(MSTeamsFields):
    """Messages to Microsoft Teams by its old webhooks."""

    http_config: HTTPConfig | None = None


class MSTeamsV2Config(MSTeamsV2Fields):
    """Messages to Microsoft Teams by its workflows."""

    http_config: HTTPConfig | None = None


class OpsGenieConfig(OpsGenieFields):
    """Alerts to OpsGenie."""

    api_key: SecretKeySelector | None = None
    details: list[KeyValue] | None = None
    responders: list[OpsGenieConfigResponder] | None = None
    http_config: HTTPConfig | None = None


class PagerDutyConfig(PagerDutyFields):
    """Events to PagerDuty."""

    routing_key: SecretKeySelector | None = None
    service_key: SecretKeySelector | None = None
    http_config: HTTPConfig | None = None


class PushoverConfig(PushoverFields):
    """Messages to Pushover."""

    user_key: SecretKeySelector | None = None
    user_key_file: str | None = None
    token: SecretKeySelector | None = None
    token_file: str | None = None
    http_config: HTTPConfig | None = None


class RocketChatConfig(RocketChatFields):
    """Messages to Rocket.Chat."""

    fields: list[RocketChatFieldConfig] | None = Field(default=None, min_length=1)
    actions: list[RocketChatActionConfig] | None = Field(default=None, min_length=1)
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
    opsgenie_configs: list[OpsGenieConfig] | None = None
    pagerduty_configs: list[PagerDutyConfig] | None = None
    discord_configs: list[DiscordConfig] | None = None
    slack_configs: list[SlackConfig] | None = None
    webhook_configs: list[WebhookConfig] | None = None
    wechat_configs: list[WeChatConfig] | None = None
    email_configs: list[EmailConfig] | None = None
    victorops_configs: list[VictorOpsConfig] | None = None
    pushover_configs: list[PushoverConfig] | None = None
    sns_configs: list[SNSConfig] | None = None
    telegram_configs: list[TelegramConfig] | None = None
    webex_configs: list[WebexConfig] | None = None
    msteams_configs: list[MSTeamsConfig] | None = None
    msteamsv2_configs: list[MSTeamsV2Config] | None = None
    rocketchat_configs: list[RocketChatConfig] | None = None


class Route(RouteFields):
    """Which alerts go where, and how they are grouped."""

    group_by: list[str] | None = None
    matchers: list[Matcher] | None = None
    routes: list[JsonValue] | None = None
    mute_time_intervals: list[str] | None = None
    active_time_intervals: list[str] | None = None


class TimePeriod(Model):
    """Times of the day, week, month and year, all of which match."""

    times: list[TimeRange] | None = None
    weekdays: list[WeekdayRange] | None = None
    days_of_month: list[DayOfMonthRange] | None = None
    months: list[MonthRange] | None = None
    years: list[YearRange] | None = None


class TimeInterval(Model):
    """Times that routes name."""

    name: str
    time_intervals: list[TimePeriod] | None = None


class AlertmanagerConfigSpec(Model):
    """A route, its receivers, and what keeps alerts back."""

    route: Route | None = None
    receivers: list[Receiver] | None = None
    inhibit_rules: list[InhibitRule] | None = None
    time_intervals: list[TimeInterval] | None = None


class AlertmanagerConfig(
    MonitoringResource,
    group=GROUP,
    version="v1beta1",
    short_names=["amcfg"],
    categories=CATEGORIES,
    storage=False,
):
    """A part of Alertmanager's configuration, for the alerts of its namespace."""

    spec: AlertmanagerConfigSpec
    status: ConfigResourceStatus | None = None
