package world

import (
	"bytes"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// pageItems is how many items the page shows.
const pageItems = 200

//go:embed page.html
var pageHTML string

// listOutbox answers the outbox as JSON, oldest first; ?kind= keeps one kind, ?after= what came
// after an id, ?limit= the newest so many.
func (w *World) listOutbox(rw http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	items := pick(w.outbox.items(), q.Get("kind"))
	if after, err := strconv.ParseInt(q.Get("after"), 10, 64); err == nil {
		items = slices.DeleteFunc(slices.Clone(items), func(i Item) bool { return i.ID <= after })
	}
	if limit, err := strconv.Atoi(q.Get("limit")); err == nil && limit >= 0 {
		items = items[max(0, len(items)-limit):]
	}
	if items == nil {
		items = []Item{}
	}
	answerJSON(rw, http.StatusOK, map[string]any{"items": items})
}

func (w *World) clearOutbox(rw http.ResponseWriter, _ *http.Request) {
	w.Clear()
	rw.WriteHeader(http.StatusNoContent)
}

func pick(items []Item, kind string) []Item {
	if kind == "" {
		return items
	}
	return slices.DeleteFunc(slices.Clone(items), func(i Item) bool { return i.Kind != kind })
}

// tab is one kind on the page.
type tab struct {
	Kind, Name string
	Count      int
	Current    bool
}

// page shows what left, newest first. It reloads itself when something arrives.
func (w *World) page(rw http.ResponseWriter, r *http.Request) {
	parsed, err := template.New("page").Funcs(template.FuncMap{
		"pretty": pretty, "clock": clock, "join": join, "columns": columns,
	}).
		Parse(pageHTML)
	if err != nil {
		http.Error(rw, "page cannot be parsed", http.StatusInternalServerError)
		return
	}
	items := w.outbox.items()
	kind := r.URL.Query().Get("kind")
	tabs := []tab{
		{"", "Everything", 0, false},
		{KindEmail, "Email", 0, false},
		{KindSlack, "Slack", 0, false},
		{KindWebhook, "Webhooks", 0, false},
		{KindSheetRow, "Sheet rows", 0, false},
	}
	for i := range tabs {
		tabs[i].Current = tabs[i].Kind == kind
		tabs[i].Count = len(pick(items, tabs[i].Kind))
	}
	var last int64
	if len(items) > 0 {
		last = items[len(items)-1].ID
	}
	shown := pick(items, kind)
	more := max(0, len(shown)-pageItems)
	shown = slices.Clone(shown[more:])
	slices.Reverse(shown)
	nonce := rand.Text()
	var b bytes.Buffer
	err = parsed.Execute(&b, map[string]any{
		"Tabs": tabs, "Items": shown, "More": more, "Last": last, "Nonce": nonce,
		"HTTP": w.httpAddr, "SMTP": w.smtpAddr,
	})
	if err != nil {
		w.log.Error("render the page of the world", "error", err)
		http.Error(rw, "page cannot be rendered", http.StatusInternalServerError)
		return
	}
	h := rw.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "+
		"script-src 'nonce-"+nonce+"'; connect-src 'self'; frame-src 'self'; base-uri 'none'; "+
		"form-action 'none'; frame-ancestors 'none'")
	_, _ = rw.Write(b.Bytes())
}

// cell is one value of a sheet row.
type cell struct{ Name, Value string }

// columns returns the values of a sheet row in the order of its columns.
func columns(item Item) []cell {
	var row []cell
	for _, name := range item.Columns {
		row = append(row, cell{name, item.Values[name]})
	}
	for name, value := range item.Values {
		if !slices.Contains(item.Columns, name) {
			row = append(row, cell{name, value})
		}
	}
	slices.SortStableFunc(row[len(item.Columns):], func(a, b cell) int { return strings.Compare(a.Name, b.Name) })
	return row
}

// pretty indents JSON and shows a JSON string as what it says.
func pretty(body json.RawMessage) string {
	var text string
	if json.Unmarshal(body, &text) == nil {
		return text
	}
	var b bytes.Buffer
	if json.Indent(&b, body, "", "  ") != nil {
		return string(body)
	}
	return b.String()
}

func clock(at time.Time) string { return at.Local().Format("15:04:05.000") }

func join(list []string) string { return strings.Join(list, ", ") }
