package app

import (
	"context"
	"log/slog"
)

// levelHandler drops records below a level, except those about enrollments.
type levelHandler struct {
	slog.Handler
	least slog.Level
}

// Enabled implements slog.Handler.
func (h levelHandler) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelInfo && h.Handler.Enabled(ctx, l)
}

// Handle implements slog.Handler.
func (h levelHandler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < h.least && !aboutEnrollment(r) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h levelHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	least := h.least
	for _, a := range attrs {
		if a.Key == "enrollment_id" {
			least = slog.LevelInfo
		}
	}
	return levelHandler{h.Handler.WithAttrs(attrs), least}
}

// WithGroup implements slog.Handler.
func (h levelHandler) WithGroup(name string) slog.Handler {
	return levelHandler{h.Handler.WithGroup(name), h.least}
}

func aboutEnrollment(r slog.Record) bool {
	about := false
	r.Attrs(func(a slog.Attr) bool {
		about = a.Key == "enrollment_id"
		return !about
	})
	return about
}
