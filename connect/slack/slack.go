// Package slack posts messages to Slack, as a bot by the Web API or into one channel by an
// incoming webhook.
//
// It is responsible for one attempt and the judgement of Slack's answers, which are mostly 200
// with ok:false inside. Slack has no key against repetitions: a message whose answer is lost
// appears again when it is sent again.
//
// Floor 1: imports rollcall/connect.
package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/slack-go/slack"

	"rollcall/connect"
)

// Config is one way into a workspace.
type Config struct {
	// Token is a bot token (xoxb-…) with chat:write, and users:read.email to find people by
	// their addresses.
	Token string
	// APIURL is where the Web API lives; empty means https://slack.com/api/.
	APIURL string
	// WebhookURL is an incoming webhook, used where there is no Token. It is a secret.
	WebhookURL string
}

// Message is one message.
type Message struct {
	// To is a channel (id or name), a user id, or the email address of a user. An incoming
	// webhook has its own channel, so there it is ignored.
	To string
	// Text is Slack's mrkdwn. What comes from data should have been through Escape.
	Text string
	// Blocks are the layout, as Slack's Block Kit has it; where there are any, Text is what
	// notifications say. At most MaxBlocks.
	Blocks []map[string]any
}

// MaxBlocks is how many blocks Slack takes in one message.
const MaxBlocks = 50

// CheckBlocks reports what is wrong with the shape of blocks, whatever their types: there are at
// most MaxBlocks, and each says its type. The error is permanent, of class connect.Invalid; at is
// the block that it concerns, -1 for none.
func CheckBlocks(blocks []map[string]any) (at int, err error) {
	if len(blocks) > MaxBlocks {
		return -1, connect.Refuse(connect.Invalid, fmt.Sprintf("a message has at most %d blocks", MaxBlocks))
	}
	for i, b := range blocks {
		if kind, _ := b["type"].(string); kind == "" {
			return i, connect.Refuse(connect.Invalid, "a block must have a type")
		}
	}
	return -1, nil
}

// block is one block, whose members are Slack's affair.
type block map[string]any

// BlockType serves slack.Block.
func (b block) BlockType() slack.MessageBlockType {
	kind, _ := b["type"].(string)
	return slack.MessageBlockType(kind)
}

// ID serves slack.Block.
func (b block) ID() string {
	id, _ := b["block_id"].(string)
	return id
}

func layout(blocks []map[string]any) []slack.Block {
	list := make([]slack.Block, len(blocks))
	for i, b := range blocks {
		list[i] = block(b)
	}
	return list
}

// Sender posts messages. It is safe for concurrent use.
type Sender struct {
	config Config
	http   *http.Client
	api    *slack.Client
}

// New returns a Sender that speaks by the client, which is one of connect.NewHTTPClient. Its
// errors are permanent.
func New(c Config, client *http.Client) (*Sender, error) {
	if c.APIURL == "" {
		c.APIURL = slack.APIURL
	}
	if !strings.HasSuffix(c.APIURL, "/") {
		c.APIURL += "/"
	}
	target := c.APIURL
	if c.Token == "" {
		target = c.WebhookURL
	}
	if target == "" || !absolute(target) {
		return nil, connect.Refuse(connect.Invalid, "slack needs a token or the url of an incoming webhook")
	}
	judging := &http.Client{
		Transport:     judge{client.Transport},
		Timeout:       client.Timeout,
		CheckRedirect: client.CheckRedirect,
	}
	api := slack.New(c.Token, slack.OptionHTTPClient(judging), slack.OptionAPIURL(c.APIURL))
	return &Sender{config: c, http: judging, api: api}, nil
}

func absolute(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}

// Send posts one message and returns its timestamp, which is its id in the channel; an incoming
// webhook has none to return. The error is judged: rate limits (with their Retry-After), Slack's
// own troubles and the connection's are transient, every other refusal is permanent, of class
// connect.Auth where the token or webhook is no longer good for anything.
func (s *Sender) Send(ctx context.Context, m Message) (string, error) {
	if strings.TrimSpace(m.Text) == "" {
		return "", fmt.Errorf("post to slack: %w", connect.Refuse(connect.Invalid, "message has no text"))
	}
	if _, err := CheckBlocks(m.Blocks); err != nil {
		return "", fmt.Errorf("post to slack: %w", err)
	}
	blocks := layout(m.Blocks)
	if s.config.Token == "" {
		message := &slack.WebhookMessage{Text: m.Text}
		if len(blocks) > 0 {
			message.Blocks = &slack.Blocks{BlockSet: blocks}
		}
		return "", wrap("post to slack webhook", slack.PostWebhookCustomHTTPContext(ctx, s.config.WebhookURL, s.http, message))
	}
	to := strings.TrimSpace(m.To)
	if to == "" {
		return "", fmt.Errorf("post to slack: %w", connect.Refuse(connect.Invalid, "message has no channel"))
	}
	if name, domain, found := strings.Cut(to, "@"); found && name != "" && domain != "" {
		user, err := s.api.GetUserByEmailContext(ctx, to)
		if err != nil {
			return "", wrap("find slack user", err)
		}
		to = user.ID
	}
	options := []slack.MsgOption{slack.MsgOptionText(m.Text, false)}
	if len(blocks) > 0 {
		options = append(options, slack.MsgOptionBlocks(blocks...))
	}
	_, ts, err := s.api.PostMessageContext(ctx, to, options...)
	return ts, wrap("post to slack", err)
}

// Escape makes text inert in Slack's mrkdwn, so that data cannot mention a whole channel or
// disguise a link.
func Escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

// wrap judges what the library returns.
func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	var refused slack.SlackErrorResponse
	var syntax *json.SyntaxError
	var shape *json.UnmarshalTypeError
	switch {
	case errors.As(err, &refused):
		err = refusal(refused)
	case errors.As(err, &syntax), errors.As(err, &shape):
		err = &connect.Error{Class: connect.Response, Reason: "answer is not slack's", Cause: err}
	default:
		err = connect.Judge(err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

func refusal(r slack.SlackErrorResponse) error {
	e := &connect.Error{Class: connect.Rejected, Permanent: true, Cause: r}
	e.Reason = "slack answered " + connect.Redact(r.Err[:min(len(r.Err), 128)])
	if r.Needed != "" {
		e.Reason += ", the token needs " + r.Needed[:min(len(r.Needed), 128)]
	}
	switch r.Err {
	case "ratelimited", "rate_limited", "internal_error", "service_unavailable", "fatal_error",
		"request_timeout", "team_added_to_org":
		e.Permanent = false
	case "invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired",
		"no_permission", "missing_scope", "not_allowed_token_type", "org_login_required",
		"access_denied", "ekm_access_denied", "invalid_token":
		e.Class = connect.Auth
	}
	return e
}

// judge is a transport that turns answers other than 2xx into judged errors, before the library
// forgets their headers.
type judge struct{ next http.RoundTripper }

// maxAnswer is far more than Slack sends.
const maxAnswer = 1 << 20

// RoundTrip sends the request.
func (j judge) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := j.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if err := connect.CheckStatus(resp); err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	resp.Body = body{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	return resp, nil
}

type body struct {
	io.Reader
	io.Closer
}
