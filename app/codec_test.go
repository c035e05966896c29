package app_test

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"rollcall/automation"
	"rollcall/codec"
)

func TestTemporalStoresNothingReadableUnderAKey(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.stop()
	key := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))
	s.config.PayloadKeys, s.config.TemporalUI = []string{key}, "http://ui.example"
	s.run()
	s.publish(`
name: secret
title: canary-title
triggers: [{ event: signed_up }]
steps:
  - { id: wait, delay: 1s }
  - { id: fails, action: send_webhook, with: { url: "http://` + s.world.HTTPAddr() + `/nowhere/canary-path" } }
`)
	s.put("u_1", properties{})
	s.event("signed_up", "u_1")
	e := s.wantStatus("secret", "u_1", automation.Failed)

	var payloads []*commonpb.Payload
	var history bytes.Buffer
	events := s.temporal.GetWorkflowHistory(s.ctx, e.TemporalWorkflowID, "", true, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(t, err)
		history.WriteString(protojson.Format(event))
		if in := event.GetWorkflowExecutionStartedEventAttributes(); in != nil {
			payloads = append(payloads, in.Input.Payloads...)
		}
	}
	require.NotContains(t, history.String(), "canary")
	require.NotContains(t, history.String(), base64.StdEncoding.EncodeToString([]byte("canary"))[:6])
	require.NotContains(t, history.String(), "json/plain")
	require.Contains(t, history.String(), base64.StdEncoding.EncodeToString([]byte("binary/encrypted")))
	wrong, err := codec.New([]string{base64.StdEncoding.EncodeToString([]byte(strings.Repeat("w", 32)))})
	require.NoError(t, err)
	_, err = wrong.Decode(payloads)
	require.ErrorIs(t, err, codec.ErrUnknownKey)

	body, err := protojson.Marshal(&commonpb.Payloads{Payloads: payloads})
	require.NoError(t, err)
	ask := func(method, origin string) (*http.Response, string) {
		req, err := http.NewRequestWithContext(s.ctx, method, s.url+"/v1/codec/decode", bytes.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Origin", origin)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp, string(text)
	}
	resp, text := ask("POST", "http://ui.example")
	require.Equal(t, []any{200, "http://ui.example"}, []any{resp.StatusCode, resp.Header.Get("Access-Control-Allow-Origin")}, text)
	var decoded commonpb.Payloads
	require.NoError(t, protojson.Unmarshal([]byte(text), &decoded))
	require.Contains(t, string(decoded.Payloads[0].Data), "canary-title")
	resp, _ = ask("OPTIONS", "http://ui.example")
	require.Equal(t, []any{204, "POST, OPTIONS"}, []any{resp.StatusCode, resp.Header.Get("Access-Control-Allow-Methods")})
	resp, _ = ask("OPTIONS", "http://evil.example")
	require.Empty(t, resp.Header.Get("Access-Control-Allow-Origin"))
}
