package world

import (
	"context"
	"encoding/json"
	"sync"
	"time"
)

// maxItems is how many items are kept in memory and over a restart.
const maxItems = 10_000

// Kinds of items.
const (
	KindEmail    = "email"
	KindSlack    = "slack"
	KindWebhook  = "webhook"
	KindSheetRow = "sheet_row"
)

// Item is one thing that left Rollcall. Which fields are set depends on the kind.
type Item struct {
	// ID counts from 1 in the order of arrival and is never used twice.
	ID int64 `json:"id"`
	// At is when it arrived, to the nanosecond.
	At time.Time `json:"at"`
	// Kind is email, slack, webhook or sheet_row.
	Kind string `json:"kind"`

	// From and To are the envelope of an email: the addresses it was really sent by and to.
	From string   `json:"from,omitempty"`
	To   []string `json:"to,omitempty"`
	// Subject, Text and HTML are decoded. Text is a Slack message's text too.
	Subject string `json:"subject,omitempty"`
	Text    string `json:"text,omitempty"`
	HTML    string `json:"html,omitempty"`
	// MessageID is the email's, without its angle brackets.
	MessageID string `json:"message_id,omitempty"`
	// Headers are those of an email or a webhook; several values are joined by a comma.
	Headers map[string]string `json:"headers,omitempty"`

	// Channel is where a Slack message went: a channel or a user id. Email is the user's address,
	// where the id came from looking it up.
	Channel string `json:"channel,omitempty"`
	Email   string `json:"email,omitempty"`
	// Blocks are a Slack message's layout, where it has one.
	Blocks json.RawMessage `json:"blocks,omitempty"`
	// TS is the timestamp that Slack's answer gave.
	TS string `json:"ts,omitempty"`

	// Method and Path are a webhook's; the path has its query.
	Method string `json:"method,omitempty"`
	Path   string `json:"path,omitempty"`
	// Body is a webhook's body: as it is if it is JSON, else as a JSON string.
	Body json.RawMessage `json:"body,omitempty"`
	// WebhookID is the header webhook-id.
	WebhookID string `json:"webhook_id,omitempty"`
	// Verified says whether a signature fits a secret that the world knows; nil without secrets.
	Verified *bool `json:"verified,omitempty"`

	// Spreadsheet, Sheet and Range are where a row was written.
	Spreadsheet string `json:"spreadsheet,omitempty"`
	Sheet       string `json:"sheet,omitempty"`
	Range       string `json:"range,omitempty"`
	// Columns is the sheet's first row at that time, Values the row by column.
	Columns []string          `json:"columns,omitempty"`
	Values  map[string]string `json:"values,omitempty"`
	// Updated names the columns that were written into a row that was there, in their order. It is
	// empty where the row was added.
	Updated []string `json:"updated,omitempty"`
}

// outbox keeps the newest items in memory and, where it has a file, writes all of them there.
type outbox struct {
	file *file // nil without a folder

	mu      sync.Mutex
	last    int64
	all     []Item // the newest maxItems are at the end
	arrived chan struct{}
	waiting int
}

func newOutbox() *outbox { return &outbox{arrived: make(chan struct{})} }

// add stamps the item with its id and time, and returns it so.
func (o *outbox) add(item Item) Item {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last++
	item.ID, item.At = o.last, time.Now().UTC()
	// Twice the limit is let in before the older half goes, so that trimming costs next to nothing.
	if len(o.all) >= 2*maxItems {
		kept := make([]Item, maxItems-1, 2*maxItems)
		copy(kept, o.all[len(o.all)-(maxItems-1):])
		o.all = kept
	}
	o.all = append(o.all, item)
	if o.file != nil {
		o.file.append(item)
	}
	if o.waiting > 0 {
		close(o.arrived)
		o.arrived = make(chan struct{})
		o.waiting = 0
	}
	return item
}

// items returns the newest items, oldest first. The caller must not change them.
func (o *outbox) items() []Item {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.newest()
}

// newest is a view: add never changes what has been appended.
func (o *outbox) newest() []Item {
	all := o.all[max(0, len(o.all)-maxItems):]
	return all[:len(all):len(all)]
}

func (o *outbox) wait(ctx context.Context, done func([]Item) bool) error {
	for {
		o.mu.Lock()
		items, arrived := o.newest(), o.arrived
		o.waiting++
		o.mu.Unlock()
		if done(items) {
			return nil
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (o *outbox) clear() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = nil
	if o.file != nil {
		o.file.truncate()
	}
}

func (o *outbox) close() error {
	if o.file == nil {
		return nil
	}
	return o.file.close()
}

// Verdict says in words what Verified says, "" where nothing was verified.
func (i Item) Verdict() string {
	switch {
	case i.Verified == nil:
		return ""
	case *i.Verified:
		return "signature verified"
	}
	return "signature does not fit"
}
