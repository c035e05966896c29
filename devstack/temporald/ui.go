package temporald

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/temporalio/ui-server/v2/server"
	"github.com/temporalio/ui-server/v2/server/config"
	"github.com/temporalio/ui-server/v2/server/server_options"
)

// webUI is Temporal's Web UI for one server.
type webUI struct {
	addr   string
	server *server.Server
	ended  chan struct{}
}

// startUI returns a Web UI that answers. It asks nobody who they are and no host but this one: the
// release news are off, fonts and icons come with it.
func startUI(ctx context.Context, c Config) (*webUI, error) {
	addr, err := listenable(c.UIAddr)
	if err != nil {
		return nil, fmt.Errorf("temporal web UI: %w", err)
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("temporal web UI: %w", err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, fmt.Errorf("temporal web UI: %w", err)
	}
	ui := &webUI{addr: addr, ended: make(chan struct{})}
	ui.server = server.NewServer(server_options.WithConfigProvider(&config.Config{
		TemporalGRPCAddress: c.FrontendAddr,
		Host:                host,
		Port:                number,
		EnableUI:            true,
		DefaultNamespace:    c.Namespace,
		DisableNewsFetch:    true,
		HideLogs:            true,
		Codec:               config.Codec{Endpoint: c.CodecEndpoint},
		CORS:                config.CORS{CookieInsecure: true}, // its buttons need the cookie, over plain HTTP
	}))
	go func() {
		defer close(ui.ended)
		_ = ui.server.Start() // returns nil only, at stop
	}()
	if err := ui.await(ctx); err != nil {
		ui.stop()
		return nil, fmt.Errorf("wait for the Temporal web UI: %w", err)
	}
	return ui, nil
}

func (ui *webUI) await(ctx context.Context) error {
	one := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+ui.addr+"/healthz", nil)
		if err != nil {
			return err
		}
		res, err := one.Do(req)
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
			err = fmt.Errorf("status %d", res.StatusCode)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-time.After(pause):
		}
	}
}

func (ui *webUI) stop() {
	ui.server.Stop()
	<-ui.ended
}
