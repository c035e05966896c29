package activities

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/osteele/liquid/parser"
	"github.com/osteele/liquid/render"

	"rollcall/strictjson"
)

// The limits of templates. Liquid has none of its own: it walks a range of any length, and lets a
// text double itself until the memory is used up, which nothing can recover from. A rendering
// cannot be stopped from outside either, so each limit is one that Liquid runs into by itself.
const (
	maxSource = 64 << 10  // bytes of one template
	maxBound  = 1000      // of a range, whose bounds are numbers that are written out: (1..10)
	maxResult = 256 << 10 // bytes of one rendered text, and of what each filter returns
	maxWork   = 16 << 20  // bytes that one rendering costs; see meter
	maxParsed = 4096      // parsed templates that are kept

	// All texts of one step together, of which there can be thousands.
	maxStepWork   = 4 * maxWork
	maxStepResult = 4 * maxResult
)

var (
	literalText = regexp.MustCompile(`(?s)"(?:[^"\\]|\\.)*"|'[^']*'`)
	filterName  = regexp.MustCompile(`\|\s*([^\s|:,)]+)`)
	smallRange  = regexp.MustCompile(`\(\s*(\d{1,4})\s*\.\.\s*(\d{1,4})\s*\)`)
)

// inspect refuses a parsed template in which
//
//	a {{ or {% is not closed, which Liquid takes for text
//	a filter does not exist, which Liquid finds out when it renders
//	a range has bounds that are not numbers written out, from 0 to maxBound
//
// and puts a payment at the head of every loop.
func (l *liquid) inspect(root render.Node, source string) (err error) {
	walk(root, func(n render.Node) {
		if err != nil {
			return
		}
		if text, ok := n.(*render.TextNode); ok && isTemplate(text.Source) {
			err = errors.New(`a "{{" or "{%" is not closed; text that has them in it stands between {% raw %} and {% endraw %}`)
		}
		if code := codeOf(n); code != "" {
			err = l.inspectCode(code)
		}
		if loop, ok := n.(*render.BlockNode); ok && (loop.Name == "for" || loop.Name == "tablerow") && err == nil {
			var payment render.Node
			if payment, err = l.turn(len(source), comparisons(loop)); err == nil {
				loop.Body = append([]render.Node{payment}, loop.Body...)
			}
		}
	})
	return err
}

func (l *liquid) inspectCode(code string) error {
	for _, m := range filterName.FindAllStringSubmatch(code, -1) {
		if !l.filters[m[1]] {
			return fmt.Errorf("there is no filter %q", strictjson.Short(m[1]))
		}
	}
	small := smallRange.FindAllStringSubmatch(code, -1)
	if len(small) < strings.Count(code, "..") {
		return fmt.Errorf("the bounds of a range are numbers from 0 to %d that are written out, such as (1..10)", maxBound)
	}
	for _, m := range small {
		from, _ := strconv.Atoi(m[1])
		to, _ := strconv.Atoi(m[2])
		if to > maxBound || from > to {
			return fmt.Errorf("the range %s must count up to %d at most", strictjson.Short(m[0]), maxBound)
		}
	}
	return nil
}

// walk visits the nodes of a parsed template, a block before what is in it. Comments and raw text
// have no nodes in them.
func walk(n render.Node, visit func(render.Node)) {
	visit(n)
	switch n := n.(type) {
	case *render.SeqNode:
		for _, child := range n.Children {
			walk(child, visit)
		}
	case *render.BlockNode:
		for _, child := range n.Body {
			walk(child, visit)
		}
		for _, clause := range n.Clauses {
			walk(clause, visit)
		}
	}
}

// codeOf is what stands between the braces of a node, with its literal texts left out.
func codeOf(n render.Node) string {
	var code string
	switch n := n.(type) {
	case *render.ObjectNode:
		code = n.Args
	case *render.TagNode:
		code = n.Args
	case *render.BlockNode:
		code = n.Args
	}
	return literalText.ReplaceAllString(code, `""`)
}

const (
	paymentTag    = "pay"
	meterName     = " meter" // no template can spell it
	allowanceName = " allowance"
)

var comparison = regexp.MustCompile(`[=!<>]=|[<>]|\bcontains\b|,|\bor\b`)

// comparisons counts those in a loop, at least.
func comparisons(loop render.Node) (n int) {
	walk(loop, func(node render.Node) {
		switch nameOf(node) {
		case "if", "unless", "elsif", "when":
			n += 1 + len(comparison.FindAllString(codeOf(node), -1))
		}
	})
	return n
}

// turn is a node that pays for one turn of a loop.
func (l *liquid) turn(cost, comparisons int) (render.Node, error) {
	n, err := l.payment.Compile(fmt.Sprintf("{%% %s %d %d %%}", paymentTag, cost, comparisons), parser.SourceLoc{})
	if err != nil {
		return nil, err
	}
	return n, nil
}

func payTurn(args string) (func(io.Writer, render.Context) error, error) {
	var cost, comparisons int
	_, err := fmt.Sscan(args, &cost, &comparisons)
	return func(_ io.Writer, ctx render.Context) error {
		m, _ := ctx.Get(meterName).(*meter)
		return m.spend(cost + comparisons*m.longest)
	}, err
}

var errTooMuchWork = errors.New("the template does more than is allowed: it loops too often, or over texts that are too long")

// meter limits what one rendering costs: a turn of a loop costs the length of the template and, for
// each comparison in it, what comparing the longest value there is takes; a filter costs what it reads
// and what it returns, an output its length. What a template can hold in memory is limited with it.
type meter struct {
	left    int
	longest int // of the values that there are; see comparing
}

// allowance is what is left for the texts of one step.
type allowance struct {
	work, result int
	longest      int // of the values in the scope
}

func newAllowance(scope map[string]any) *allowance {
	return &allowance{maxStepWork, maxStepResult, longest(scope)}
}

// longest is what comparing the longest of the values takes that are in a value.
func longest(v any) int {
	n := comparing(reflect.ValueOf(v))
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			n = max(n, longest(item))
		}
	case map[string]any:
		for _, member := range v {
			n = max(n, longest(member))
		}
	}
	return n
}

// comparing is what comparing a value takes: twice its items, or a part of its bytes. So the worst that
// a template can do takes less than a second.
func comparing(v reflect.Value) int {
	for v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.String:
		return v.Len() / 64
	case reflect.Slice, reflect.Array, reflect.Map:
		return 2 * v.Len()
	default:
		return 0
	}
}

// take renders a text at the expense of the allowance.
func (a *allowance) take(m *meter, render func() (string, error)) (string, error) {
	granted := min(maxWork, a.work)
	m.left, m.longest = granted, a.longest
	text, err := render()
	a.work -= granted - max(m.left, 0)
	if a.result -= len(text); err == nil && a.result < 0 {
		return "", fmt.Errorf("the texts of the step are longer than %d bytes together", maxStepResult)
	}
	return text, err
}

func (m *meter) spend(n int) error {
	if m.left -= n; m.left < 0 {
		return errTooMuchWork
	}
	return nil
}

// filter puts the meter before and behind a filter.
func (m *meter) filter(name string, fn any) any {
	f := reflect.ValueOf(fn)
	t := f.Type()
	in := make([]reflect.Type, t.NumIn())
	for i := range in {
		in[i] = t.In(i)
	}
	call := f.Call
	if t.IsVariadic() {
		call = f.CallSlice
	}
	fails := reflect.TypeFor[error]()
	refused := func(err error) []reflect.Value {
		return []reflect.Value{reflect.Zero(t.Out(0)), reflect.ValueOf(&err).Elem()}
	}
	return reflect.MakeFunc(reflect.FuncOf(in, []reflect.Type{t.Out(0), fails}, t.IsVariadic()), func(args []reflect.Value) []reflect.Value {
		reads := growth(name, args)
		for _, a := range args {
			reads += size(a)
		}
		if err := m.spend(reads); err != nil {
			return refused(err)
		}
		out := call(args)
		m.longest = max(m.longest, comparing(out[0]))
		returns := size(out[0])
		if returns > maxResult {
			return refused(fmt.Errorf("the result is longer than %d bytes", maxResult))
		}
		if err := m.spend(returns); err != nil {
			return refused(err)
		}
		if len(out) == 1 {
			out = append(out, reflect.Zero(fails))
		}
		return out
	}).Interface()
}

// size is what a value takes in memory; what it refers to counts where it stands.
func size(v reflect.Value) int {
	for v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.String:
		return v.Len()
	case reflect.Slice, reflect.Array, reflect.Map:
		return 16 * v.Len()
	default:
		return 8
	}
}

var fieldWidth = regexp.MustCompile(`%[-_^#0]*\d{3}`)

// growth is what a filter returns at most, where that can be many times what it reads.
func growth(name string, args []reflect.Value) int {
	switch name {
	case "replace":
		return strings.Count(args[0].String(), args[1].String()) * args[2].Len()
	case "join":
		separator, _ := args[1].Interface().(func(string) string)
		return args[0].Len() * len(separator(" "))
	case "date":
		if format, _ := args[1].Interface().(func(string) string); fieldWidth.MatchString(format("")) {
			return maxWork
		}
	}
	return 0
}
