package temporald

import (
	"context"
	"log/slog"
	"sync/atomic"

	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/log/tag"
)

// logger hands the server's warnings and errors to a slog.Logger, until it is muted. The server says
// several hundred lines at the lower levels, of use only to its developers.
type logger struct {
	to    *slog.Logger
	muted *atomic.Bool // shared by all loggers derived from one
}

var _ log.WithLogger = (*logger)(nil)

func newLogger(to *slog.Logger) *logger {
	return &logger{to: to.With("component", "temporal"), muted: &atomic.Bool{}}
}

func (l *logger) mute() { l.muted.Store(true) }

func (l *logger) Debug(string, ...tag.Tag) {}
func (l *logger) Info(string, ...tag.Tag)  {}

func (l *logger) Warn(msg string, tags ...tag.Tag)   { l.write(slog.LevelWarn, msg, tags) }
func (l *logger) Error(msg string, tags ...tag.Tag)  { l.write(slog.LevelError, msg, tags) }
func (l *logger) DPanic(msg string, tags ...tag.Tag) { l.write(slog.LevelError, msg, tags) }

// Panic and Fatal must not return: the server relies on it.
func (l *logger) Panic(msg string, tags ...tag.Tag) {
	l.write(slog.LevelError, msg, tags)
	panic("temporal: " + msg)
}

func (l *logger) Fatal(msg string, tags ...tag.Tag) { l.Panic(msg, tags...) }

// With returns a logger that adds the tags to every line.
func (l *logger) With(tags ...tag.Tag) log.Logger {
	return &logger{to: slog.New(l.to.Handler().WithAttrs(attributes(tags))), muted: l.muted}
}

func (l *logger) write(level slog.Level, msg string, tags []tag.Tag) {
	if !l.muted.Load() {
		l.to.LogAttrs(context.Background(), level, msg, attributes(tags)...)
	}
}

func attributes(tags []tag.Tag) []slog.Attr {
	attrs := make([]slog.Attr, 0, len(tags))
	for _, t := range tags {
		attrs = append(attrs, slog.Any(t.Key(), t.Value()))
	}
	return attrs
}
