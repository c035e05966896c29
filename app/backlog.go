package app

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rollcall/postgres"
)

// backlog reports what waits for evaluation, read from the database when it is asked.
type backlog struct {
	db         *postgres.DB
	items, age *prometheus.Desc
}

func newBacklog(db *postgres.DB) *backlog {
	return &backlog{
		db:    db,
		items: prometheus.NewDesc("rollcall_work_items", "Changes and events that wait for evaluation.", nil, nil),
		age:   prometheus.NewDesc("rollcall_work_item_age_seconds", "Age of the oldest of them.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (b *backlog) Describe(ch chan<- *prometheus.Desc) {
	ch <- b.items
	ch <- b.age
}

// Collect implements prometheus.Collector.
func (b *backlog) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	items, oldest, err := b.db.Backlog(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(b.items, err)
		return
	}
	ch <- prometheus.MustNewConstMetric(b.items, prometheus.GaugeValue, float64(items))
	ch <- prometheus.MustNewConstMetric(b.age, prometheus.GaugeValue, oldest.Seconds())
}
