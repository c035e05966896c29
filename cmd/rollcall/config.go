package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"

	"go.temporal.io/sdk/contrib/envconfig"

	"rollcall/app"
	"rollcall/automation"
	"rollcall/filter"
)

const defaultListen = "127.0.0.1:8080"

// configFromEnv reads the environment. Temporal's own settings have their standard TEMPORAL_ names.
//
//	DATABASE_URL                      PostgreSQL; required
//	ROLLCALL_LISTEN                   host:port of the API; default 127.0.0.1:8080
//	ROLLCALL_PUBLIC_URL               where other systems reach the API, for callbacks: https://rollcall.example.com; default the address it listens on
//	ROLLCALL_METRICS_LISTEN           host:port of a worker's health and metrics; default 127.0.0.1:9090
//	ROLLCALL_API_KEYS                 bearer keys that may do everything, separated by commas, besides those of "rollcall key"
//	ROLLCALL_RATE_LIMIT               requests a second that one key may make; default 1000, 0 for any number
//	ROLLCALL_TEMPORAL_UI_URL          address of Temporal's Web UI, for links in answers
//	ROLLCALL_PAYLOAD_KEYS             encrypt what Temporal stores: 32 random bytes in base64 each, separated by commas; the first encrypts
//	ROLLCALL_SECRETS_KEYSET           seals the secrets of connections: what "rollcall secrets new" prints, as it is or in base64; or
//	ROLLCALL_SECRETS_KEYSET_FILE      the file that has it
//	ROLLCALL_TIME_ZONE                where workflows read local times that do not say it; default UTC
//	ROLLCALL_HOLIDAYS                 the country whose holidays are no business days, such as PL; default none
//	ROLLCALL_LOG_LEVEL                debug, info, warn or error; default info
//	ROLLCALL_SMTP_ADDR                host:port of the mail server; without it there is no mail
//	ROLLCALL_SMTP_USERNAME            and
//	ROLLCALL_SMTP_PASSWORD            its account
//	ROLLCALL_SMTP_TLS                 mandatory (default), implicit, opportunistic or none
//	ROLLCALL_MAIL_FROM                the sender of mail
//	ROLLCALL_SLACK_TOKEN              bot token; or
//	ROLLCALL_SLACK_WEBHOOK_URL        an incoming webhook
//	ROLLCALL_SLACK_API_URL            default https://slack.com/api/
//	ROLLCALL_GOOGLE_CREDENTIALS_FILE  key file of a service account, for Google Sheets
//	ROLLCALL_SHEETS_ENDPOINT          default Google's
//	ROLLCALL_WEBHOOK_SECRETS          whsec_… secrets that sign webhooks, separated by commas
//	ROLLCALL_ALLOW_NETWORKS           private networks that may be reached, as CIDRs separated by commas
//	ROLLCALL_ALLOW_HTTP               true lets plain http out
func configFromEnv(getenv func(string) string, stderr io.Writer) (app.Config, error) {
	c := app.Config{
		DatabaseURL: getenv("DATABASE_URL"), Listen: or(getenv("ROLLCALL_LISTEN"), defaultListen),
		APIKeys: list(getenv("ROLLCALL_API_KEYS")), TemporalUI: strings.TrimSuffix(getenv("ROLLCALL_TEMPORAL_UI_URL"), "/"),
		WebhookSecrets: list(getenv("ROLLCALL_WEBHOOK_SECRETS")), PayloadKeys: list(getenv("ROLLCALL_PAYLOAD_KEYS")),
	}
	c.Mail.Addr, c.Mail.Username, c.Mail.Password = getenv("ROLLCALL_SMTP_ADDR"), getenv("ROLLCALL_SMTP_USERNAME"), getenv("ROLLCALL_SMTP_PASSWORD")
	c.Mail.TLS, c.Mail.From = getenv("ROLLCALL_SMTP_TLS"), getenv("ROLLCALL_MAIL_FROM")
	c.Slack.Token, c.Slack.WebhookURL, c.Slack.APIURL = getenv("ROLLCALL_SLACK_TOKEN"), getenv("ROLLCALL_SLACK_WEBHOOK_URL"), getenv("ROLLCALL_SLACK_API_URL")
	c.Sheets.Endpoint = getenv("ROLLCALL_SHEETS_ENDPOINT")
	if c.DatabaseURL == "" {
		return c, errors.New("DATABASE_URL is required")
	}
	for _, key := range c.APIKeys {
		if len(key) < 16 {
			return c, errors.New("ROLLCALL_API_KEYS: a key has at least 16 characters")
		}
	}
	var err error
	if s := getenv("ROLLCALL_ALLOW_HTTP"); s != "" {
		if c.AllowHTTP, err = strconv.ParseBool(s); err != nil {
			return c, errors.New("ROLLCALL_ALLOW_HTTP must be true or false")
		}
	}
	if c.RateLimit, err = strconv.ParseFloat(or(getenv("ROLLCALL_RATE_LIMIT"), "1000"), 64); err != nil || c.RateLimit < 0 || c.RateLimit > 1e6 {
		return c, errors.New("ROLLCALL_RATE_LIMIT must be a number of requests a second")
	}
	for _, s := range list(getenv("ROLLCALL_ALLOW_NETWORKS")) {
		network, err := netip.ParsePrefix(s)
		if err != nil {
			return c, fmt.Errorf("ROLLCALL_ALLOW_NETWORKS: %q is not a network such as 10.1.0.0/16", s)
		}
		c.AllowNetworks = append(c.AllowNetworks, network)
	}
	if file := getenv("ROLLCALL_GOOGLE_CREDENTIALS_FILE"); file != "" {
		if c.Sheets.CredentialsJSON, err = os.ReadFile(file); err != nil {
			return c, fmt.Errorf("ROLLCALL_GOOGLE_CREDENTIALS_FILE: %w", err)
		}
	}
	if c.PublicURL = getenv("ROLLCALL_PUBLIC_URL"); c.PublicURL != "" {
		if u, err := url.Parse(c.PublicURL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || u.User != nil {
			return c, errors.New("ROLLCALL_PUBLIC_URL must be an address such as https://rollcall.example.com")
		}
	}
	if c.SecretKeys, err = keysetFrom(getenv); err != nil {
		return c, err
	}
	if c.Temporal, err = envconfig.LoadDefaultClientOptions(); err != nil {
		return c, fmt.Errorf("temporal: %w", err)
	}
	var level slog.Level
	if c.Holidays = getenv("ROLLCALL_HOLIDAYS"); c.Holidays != "" && !automation.CheckCountry(c.Holidays) {
		return c, fmt.Errorf("ROLLCALL_HOLIDAYS must be one of %s", strings.Join(automation.HolidayCountries, ", "))
	}
	if c.TimeZone = getenv("ROLLCALL_TIME_ZONE"); c.TimeZone != "" {
		if _, err := filter.LoadZone(c.TimeZone); err != nil {
			return c, errors.New("ROLLCALL_TIME_ZONE must be the name of a time zone such as Europe/Warsaw")
		}
	}
	if err := level.UnmarshalText([]byte(or(getenv("ROLLCALL_LOG_LEVEL"), "info"))); err != nil {
		return c, errors.New("ROLLCALL_LOG_LEVEL must be debug, info, warn or error")
	}
	c.Log = slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: level}))
	return c, nil
}

// keysetFrom reads the keyset of secrets, "" where there is none.
func keysetFrom(getenv func(string) string) (string, error) {
	file := getenv("ROLLCALL_SECRETS_KEYSET_FILE")
	if file == "" {
		return getenv("ROLLCALL_SECRETS_KEYSET"), nil
	}
	if getenv("ROLLCALL_SECRETS_KEYSET") != "" {
		return "", errors.New("there is one of ROLLCALL_SECRETS_KEYSET and ROLLCALL_SECRETS_KEYSET_FILE, not both")
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("ROLLCALL_SECRETS_KEYSET_FILE: %w", err)
	}
	return string(text), nil
}

// list splits a text at its commas.
func list(s string) []string {
	var items []string
	for _, item := range strings.Split(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}
