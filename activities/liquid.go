package activities

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"

	"github.com/osteele/liquid/filters"
	"github.com/osteele/liquid/parser"
	"github.com/osteele/liquid/render"
	"github.com/osteele/liquid/tags"

	"rollcall/connect/slack"
)

// Escaping is how the values in a template are made harmless for where the text goes.
type Escaping string

// The escapings.
const (
	Plain     Escaping = ""
	HTML      Escaping = "html"
	SlackText Escaping = "slack"
)

// escape makes a value harmless.
func (e Escaping) escape(s string) string {
	switch e {
	case HTML:
		return render.HtmlEscaper.Replace(s)
	case SlackText:
		return slack.Escape(s)
	default:
		return s
	}
}

// liquid parses and renders texts within the limits. It is safe for concurrent use.
type liquid struct {
	engines map[Escaping]*sync.Pool
	payment render.Config // knows the one tag that stands at the head of every loop
	filters map[string]bool

	mu     sync.Mutex
	parsed map[string]render.Node // by source
}

func newLiquid() *liquid {
	l := &liquid{
		engines: map[Escaping]*sync.Pool{}, payment: render.NewConfig(),
		filters: newEngine(Plain).filters, parsed: map[string]render.Node{},
	}
	for _, e := range []Escaping{Plain, HTML, SlackText} {
		l.engines[e] = &sync.Pool{New: func() any { return newEngine(e) }}
	}
	l.payment.AddTag(paymentTag, payTurn)
	return l
}

// engine is Liquid with a meter in it. It renders one text at a time.
type engine struct {
	config  render.Config
	filters map[string]bool
	meter   *meter
}

func newEngine(e Escaping) *engine {
	g := &engine{config: render.NewConfig(), filters: map[string]bool{}, meter: &meter{}}
	tags.AddStandardTags(&g.config)
	g.config.UnregisterTag("include") // they read files
	g.config.UnregisterTag("render")
	filters.AddStandardFilters(g)
	g.config.SetAutoEscapeReplacer(&escaper{e, g.meter})
	return g
}

// AddFilter implements filters.FilterDictionary.
func (g *engine) AddFilter(name string, fn any) {
	g.filters[name] = true
	g.config.AddFilter(name, g.meter.filter(name, fn))
}

// escaper takes every value that a template outputs.
type escaper struct {
	escaping Escaping
	meter    *meter
}

// WriteString implements render.Replacer.
func (e *escaper) WriteString(w io.Writer, s string) (int, error) {
	if err := e.meter.spend(len(s)); err != nil {
		return 0, err
	}
	return io.WriteString(w, e.escaping.escape(s))
}

// parse returns a template ready to be rendered. It refuses what Liquid would not, see inspect.
// Templates that are kept are found again without parsing.
func (l *liquid) parse(source string, keep bool) (root render.Node, err error) {
	l.mu.Lock()
	root = l.parsed[source]
	l.mu.Unlock()
	if root != nil {
		return root, nil
	}
	if len(source) > maxSource {
		return nil, fmt.Errorf("a template has at most %d bytes", maxSource)
	}
	g := l.take(Plain)
	defer l.engines[Plain].Put(g)
	if err := unpanicked(func() error {
		compiled, err := g.config.Compile(source, parser.SourceLoc{LineNo: 1})
		if err == nil {
			root = compiled
			return nil
		}
		return err
	}); err != nil {
		return nil, err
	}
	if err := l.inspect(root, source); err != nil || !keep {
		return root, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.parsed) >= maxParsed {
		clear(l.parsed)
	}
	l.parsed[source] = root
	return root, nil
}

// render renders a parsed template. What is rendered with one scope shares the allowance of a step.
func (l *liquid) render(root render.Node, escaping Escaping, scope map[string]any) (string, error) {
	g := l.take(escaping)
	defer l.engines[escaping].Put(g)
	scope[meterName] = g.meter
	left, _ := scope[allowanceName].(*allowance)
	if left == nil {
		left = newAllowance(scope)
		scope[allowanceName] = left
	}
	return left.take(g.meter, func() (string, error) { return g.render(root, scope) })
}

func (g *engine) render(root render.Node, scope map[string]any) (string, error) {
	out := &limited{}
	err := unpanicked(func() error {
		if err := render.Render(root, out, scope, g.config); err != nil {
			return err
		}
		return nil
	})
	switch {
	case out.full:
		return "", fmt.Errorf("the text is longer than %d bytes", maxResult)
	case g.meter.left < 0:
		return "", errTooMuchWork
	case err != nil:
		return "", err
	}
	return storable(out.String()), nil
}

func (l *liquid) take(escaping Escaping) *engine {
	g, _ := l.engines[escaping].Get().(*engine)
	return g
}

var (
	errorPlace = regexp.MustCompile(`^Liquid error \((line \d+)\)`)
	// quotedValue is how Liquid's errors spell the value that they are about, which is nobody's business.
	quotedValue = regexp.MustCompile(`(?s)can't convert .*\) to type `)
)

// unpanicked makes an error of a panic: Liquid panics at numbers that are too large, at a slice
// that ends before it begins, and the like.
func unpanicked(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			first, _, _ := strings.Cut(fmt.Sprint(r), "\n")
			err = errors.New(first)
		}
	}()
	if err := f(); err != nil {
		text := errorPlace.ReplaceAllString(strings.TrimPrefix(err.Error(), "Liquid error: "), "$1")
		return errors.New(quotedValue.ReplaceAllString(text, "can't convert a value to type "))
	}
	return nil
}

// limited is a buffer that refuses to grow beyond maxResult.
type limited struct {
	bytes.Buffer
	full bool
}

// Write implements io.Writer.
func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > maxResult {
		l.full = true
		return 0, io.ErrShortWrite
	}
	return l.Buffer.Write(p)
}
