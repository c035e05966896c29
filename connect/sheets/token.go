package sheets

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/jwt"
	"golang.org/x/sync/semaphore"
	"google.golang.org/api/sheets/v4"

	"rollcall/connect"
)

const (
	defaultTokenURI = "https://oauth2.googleapis.com/token"
	// early is how long before its end a token is replaced.
	early = time.Minute
	// maxAnswer is far more than the calls of this package are answered with.
	maxAnswer = 4 << 20
)

// parseCredentials reads the key file of a service account.
func parseCredentials(file []byte) (*jwt.Config, error) {
	var key struct {
		Type         string `json:"type"`
		ClientEmail  string `json:"client_email"`
		PrivateKey   string `json:"private_key"`
		PrivateKeyID string `json:"private_key_id"`
		TokenURI     string `json:"token_uri"`
	}
	if err := json.Unmarshal(file, &key); err != nil {
		return nil, invalid("google credentials are not json")
	}
	if key.Type != "service_account" {
		return nil, invalid("google credentials are not those of a service account")
	}
	if key.TokenURI == "" {
		key.TokenURI = defaultTokenURI
	}
	u, err := url.Parse(key.TokenURI)
	if err != nil || u.Host == "" || key.ClientEmail == "" || !rsaKey(key.PrivateKey) {
		return nil, invalid("google credentials are not complete")
	}
	return &jwt.Config{
		Email:        key.ClientEmail,
		PrivateKey:   []byte(key.PrivateKey),
		PrivateKeyID: key.PrivateKeyID,
		Scopes:       []string{sheets.SpreadsheetsScope},
		TokenURL:     key.TokenURI,
	}, nil
}

func rsaKey(text string) bool {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return false
	}
	if _, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		return true
	}
	_, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	return err == nil
}

// authorized is a transport that adds the account's token to each request.
type authorized struct {
	account *jwt.Config
	next    http.RoundTripper

	fetching *semaphore.Weighted // one at a time

	mu    sync.Mutex
	token *oauth2.Token
}

func newAuthorized(account *jwt.Config, next http.RoundTripper) *authorized {
	return &authorized{account: account, next: next, fetching: semaphore.NewWeighted(1)}
}

// RoundTrip sends the request. A token that is refused is forgotten, and if it was an old one the
// request is sent once more with a fresh one.
func (a *authorized) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, fresh, err := a.send(req)
	if err != nil || resp.StatusCode != http.StatusUnauthorized || fresh {
		return resp, err
	}
	again := req.Clone(req.Context())
	if req.Body != nil {
		if req.GetBody == nil {
			return resp, nil
		}
		if again.Body, err = req.GetBody(); err != nil {
			return resp, nil
		}
	}
	_ = resp.Body.Close()
	resp, _, err = a.send(again)
	return resp, err
}

func (a *authorized) send(req *http.Request) (resp *http.Response, fresh bool, err error) {
	token, fresh, err := a.current(req.Context())
	if err != nil {
		return nil, fresh, err
	}
	req = req.Clone(req.Context())
	token.SetAuthHeader(req)
	resp, err = a.next.RoundTrip(req)
	if err != nil {
		return nil, fresh, err
	}
	if resp.StatusCode == http.StatusUnauthorized {
		a.forget(token)
	}
	resp.Body = body{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	return resp, fresh, nil
}

// current returns a token that is good for a while yet, and whether it was fetched for this call.
// Callers that come while one is fetched wait for it, as long as their context lets them.
func (a *authorized) current(ctx context.Context) (token *oauth2.Token, fresh bool, err error) {
	if token = a.kept(); token != nil {
		return token, false, nil
	}
	if err := a.fetching.Acquire(ctx, 1); err != nil {
		return nil, false, connect.Judge(err)
	}
	defer a.fetching.Release(1)
	if token = a.kept(); token != nil {
		return token, false, nil
	}
	if token, err = a.fetch(ctx); err != nil {
		return nil, false, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.token = token
	return token, true, nil
}

// kept returns the token while it is good, nil without one.
func (a *authorized) kept() *oauth2.Token {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.token == nil || time.Until(a.token.Expiry) <= early {
		return nil
	}
	return a.token
}

func (a *authorized) forget(token *oauth2.Token) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.token == token {
		a.token = nil
	}
}

func (a *authorized) fetch(ctx context.Context) (*oauth2.Token, error) {
	// The library keeps only the text of a transport's error and does not pass the context on.
	seen := &witness{ctx: ctx, next: a.next}
	client := &http.Client{
		Transport:     seen,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	token, err := a.account.TokenSource(context.WithValue(ctx, oauth2.HTTPClient, client)).Token()
	var refused *oauth2.RetrieveError
	switch {
	case err == nil && token.AccessToken != "":
		return token, nil
	case seen.err != nil:
		return nil, connect.Judge(seen.err)
	case errors.As(err, &refused):
		e := connect.StatusError(refused.Response.StatusCode, refused.Response.Header,
			connect.Redact(string(refused.Body)))
		if e.Permanent {
			e.Class = connect.Auth
		}
		return nil, e
	}
	return nil, &connect.Error{Class: connect.Response, Reason: "answer is not a token", Cause: err}
}

// witness is a transport for one request, which remembers its error.
type witness struct {
	ctx  context.Context // of the call it belongs to
	next http.RoundTripper
	err  error
}

// RoundTrip sends the request.
func (w *witness) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := w.next.RoundTrip(req.WithContext(w.ctx))
	w.err = err
	return resp, err
}

type body struct {
	io.Reader
	io.Closer
}
