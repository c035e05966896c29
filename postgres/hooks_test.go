package postgres_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"rollcall/automation"
	"rollcall/filter"
	"rollcall/postgres"
	"rollcall/postgres/pgtest"
)

// hooked is a database whose clock is turned by hand.
type hooked struct {
	*postgres.DB
	t    *testing.T
	conn *pgx.Conn
	now  time.Time
}

func newHooked(t *testing.T) *hooked {
	t.Helper()
	url := pgtest.New(t)
	h := &hooked{t: t, now: time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)}
	db, err := postgres.Open(t.Context(), postgres.Config{URL: url, Now: func() time.Time { return h.now }})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	h.DB = db
	h.conn, err = pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = h.conn.Close(context.WithoutCancel(t.Context())) })
	return h
}

// good says whether a token is taken.
func (h *hooked) good(token string) bool {
	h.t.Helper()
	_, err := h.HookByToken(h.t.Context(), token)
	if err != nil {
		require.ErrorIs(h.t, err, automation.ErrNotFound)
	}
	return err == nil
}

var byID = automation.Mapping{User: automation.HookUser{ID: "/user"}, EventID: "/id", Properties: map[string]string{"grade": "/grade"}}

func TestHooksAreKept(t *testing.T) {
	t.Parallel()
	h := newHooked(t)
	ctx := t.Context()
	made, token, err := h.PutHook(ctx, "payroll", byID, "ada")
	require.NoError(t, err)
	require.Equal(t, automation.Hook{Name: "payroll", Mapping: byID, CreatedBy: "ada", CreatedAt: h.now, UpdatedAt: h.now}, *made)
	require.True(t, h.good(token))

	h.now = h.now.Add(time.Hour)
	changed := byID
	changed.Create, changed.Properties = true, nil
	again, none, err := h.PutHook(ctx, "payroll", changed, "grace")
	require.NoError(t, err)
	require.Empty(t, none, "the token stays")
	require.Equal(t, changed, again.Mapping)
	require.Equal(t, []any{"ada", h.now.Add(-time.Hour), h.now}, []any{again.CreatedBy, again.CreatedAt, again.UpdatedAt})
	require.True(t, h.good(token))

	_, _, err = h.PutHook(ctx, "hr", byID, "")
	require.NoError(t, err)
	list, err := h.Hooks(ctx)
	require.NoError(t, err)
	require.Equal(t, []string{"hr", "payroll"}, []string{list[0].Name, list[1].Name})

	require.NoError(t, h.DeleteHook(ctx, "payroll"))
	require.False(t, h.good(token))
	require.ErrorIs(t, h.DeleteHook(ctx, "payroll"), automation.ErrNotFound)
	_, err = h.Hook(ctx, "payroll")
	require.ErrorIs(t, err, automation.ErrNotFound)
	_, _, err = h.RotateHook(ctx, "payroll", false)
	require.ErrorIs(t, err, automation.ErrNotFound)
	_, _, err = h.PutHook(ctx, "Pay roll", byID, "")
	require.ErrorIs(t, err, automation.ErrInvalid)
}

func TestTokensOfHooksRotate(t *testing.T) {
	t.Parallel()
	h := newHooked(t)
	_, first, err := h.PutHook(t.Context(), "payroll", byID, "")
	require.NoError(t, err)
	rotate := func(atOnce bool) string {
		_, token, err := h.RotateHook(t.Context(), "payroll", atOnce)
		require.NoError(t, err)
		return token
	}
	taken := func(tokens ...string) (taken []bool) {
		for _, token := range tokens {
			taken = append(taken, h.good(token))
		}
		return taken
	}
	second := rotate(false)
	require.Equal(t, []bool{true, true}, taken(first, second))
	hook, err := h.Hook(t.Context(), "payroll")
	require.NoError(t, err)
	require.Equal(t, h.now.Add(24*time.Hour), *hook.PreviousUntil)
	h.now = h.now.Add(24*time.Hour - time.Microsecond)
	require.Equal(t, []bool{true, true}, taken(first, second))
	h.now = h.now.Add(time.Microsecond)
	require.Equal(t, []bool{false, true}, taken(first, second))
	hook, err = h.Hook(t.Context(), "payroll")
	require.NoError(t, err)
	require.Nil(t, hook.PreviousUntil, "it has ended")

	third := rotate(false)
	fourth := rotate(false)
	require.Equal(t, []bool{false, false, true, true}, taken(first, second, third, fourth), "two at most")
	fifth := rotate(true)
	require.Equal(t, []bool{false, false, true}, taken(third, fourth, fifth))
}

func TestNoTokenOfAHookStandsInTheDatabase(t *testing.T) {
	t.Parallel()
	h := newHooked(t)
	_, first, err := h.PutHook(t.Context(), "payroll", byID, "")
	require.NoError(t, err)
	_, second, err := h.RotateHook(t.Context(), "payroll", false)
	require.NoError(t, err)
	var row string
	require.NoError(t, h.conn.QueryRow(t.Context(), `select hooks::text from hooks`).Scan(&row))
	for _, token := range []string{first, second} {
		require.NotContains(t, row, strings.TrimPrefix(token, "rch_"))
	}
}

func TestUseOfAHookIsNotedOnceAMinute(t *testing.T) {
	t.Parallel()
	h := newHooked(t)
	_, token, err := h.PutHook(t.Context(), "payroll", byID, "")
	require.NoError(t, err)
	used := func() *time.Time {
		hook, err := h.Hook(t.Context(), "payroll")
		require.NoError(t, err)
		return hook.LastUsedAt
	}
	require.Nil(t, used())
	first := h.now
	require.True(t, h.good(token))
	require.Equal(t, first, *used())
	h.now = h.now.Add(time.Minute)
	require.True(t, h.good(token))
	require.Equal(t, first, *used())
	h.now = h.now.Add(time.Second)
	require.True(t, h.good(token))
	require.Equal(t, h.now, *used())
}

// deliver delivers an event with an id of a user who may not exist.
func (h *hooked) deliver(hook *automation.Hook, d automation.Delivery, id string) (postgres.Receipt, error) {
	if d.Properties == nil {
		d.Properties = map[string]any{}
	}
	return h.Deliver(h.t.Context(), hook, &d, automation.Event{ID: id, Name: hook.Event(), Properties: d.Properties})
}

func TestDeliveriesCreateUsersWhereTheHookSaysSo(t *testing.T) {
	t.Parallel()
	h := newHooked(t)
	strict := &automation.Hook{Name: "strict", Mapping: byID}
	_, err := h.deliver(strict, automation.Delivery{User: "u_new"}, "e_1")
	require.ErrorIs(t, err, automation.ErrUnknownUser)

	free := &automation.Hook{Name: "free", Mapping: byID}
	free.Create = true
	r, err := h.deliver(free, automation.Delivery{User: "u_new"}, "e_1")
	require.NoError(t, err)
	require.Equal(t, postgres.Receipt{ID: "e_1"}, r)
	r, err = h.deliver(free, automation.Delivery{User: "u_new"}, "e_1")
	require.NoError(t, err)
	require.Equal(t, postgres.Receipt{ID: "e_1", Duplicate: true}, r)
	user, err := h.User(t.Context(), "u_new")
	require.NoError(t, err)
	require.Equal(t, "active", user.Properties["status"])
	changes, _, err := h.History(t.Context(), "u_new", 0, 10)
	require.NoError(t, err)
	require.Equal(t, "webhook.free", changes[0].Source)

	_, err = h.deliver(free, automation.Delivery{User: "u_other"}, "e_1")
	require.ErrorIs(t, err, automation.ErrEventIDTaken)
	_, err = h.User(t.Context(), "u_other")
	require.ErrorIs(t, err, automation.ErrNotFound, "the user comes with the event, or not at all")
}

func TestDeliveriesFindUsersByAProperty(t *testing.T) {
	t.Parallel()
	h := newHooked(t)
	ctx := t.Context()
	for _, p := range []automation.Property{{Name: "badge", Type: filter.Number}, {Name: "nick", Type: filter.Enum}} {
		_, err := h.PutProperty(ctx, p)
		require.NoError(t, err)
	}
	for id, properties := range map[string]map[string]any{
		"u_1": {"email": "ada@example.com", "badge": 7.0, "nick": "a"}, "u_2": {"email": "grace@example.com", "badge": 8.0, "nick": "b"},
		"u_3": {"badge": 8.0, "nick": "c"},
	} {
		_, _, err := h.PutUser(ctx, id, properties, "api")
		require.NoError(t, err)
	}
	find := func(property string, value any) error {
		hook := &automation.Hook{Name: "by", Mapping: automation.Mapping{User: automation.HookUser{Property: property, Is: "/is"}}}
		_, err := h.deliver(hook, automation.Delivery{Is: value}, "")
		return err
	}
	received := func() (users []string) {
		rows, err := h.conn.Query(ctx, `select user_id from events where name = 'webhook.by' order by seq`)
		require.NoError(t, err)
		users, err = pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		return users
	}
	require.NoError(t, find("email", "grace@example.com"))
	require.NoError(t, find("badge", 7.0))
	require.NoError(t, find("nick", "c"))
	require.Equal(t, []string{"u_2", "u_1", "u_3"}, received())

	require.ErrorIs(t, find("email", "nobody@example.com"), automation.ErrUnknownUser)
	err := find("badge", 8.0)
	require.ErrorIs(t, err, automation.ErrInvalid)
	require.Contains(t, err.Error(), "/is: several users have that value of badge")
	require.Len(t, received(), 3)
}

func TestAPropertyThatAHookNeedsStays(t *testing.T) {
	t.Parallel()
	h := newHooked(t)
	ctx := t.Context()
	_, err := h.PutProperty(ctx, automation.Property{Name: "badge", Type: filter.Number})
	require.NoError(t, err)
	_, _, err = h.PutHook(ctx, "payroll", automation.Mapping{User: automation.HookUser{Property: "badge", Is: "/is"}}, "")
	require.NoError(t, err)
	const place = "needed by hook payroll at /user/property: in use"
	require.EqualError(t, h.DeleteProperty(ctx, "badge"), place)
	_, err = h.PutProperty(ctx, automation.Property{Name: "badge", Type: filter.Date})
	require.EqualError(t, err, place)
	require.NoError(t, h.DeleteHook(ctx, "payroll"))
	require.NoError(t, h.DeleteProperty(ctx, "badge"))
}
