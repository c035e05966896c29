package api

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"rollcall/postgres"
)

// idempotent lets a POST with an Idempotency-Key happen once: asked again, it is answered as before.
func (s *server) idempotent(c *gin.Context) {
	key := c.GetHeader("Idempotency-Key")
	if key == "" || c.Request.Method != http.MethodPost || unkept(c) {
		return
	}
	if !visible(key) {
		sendProblem(c, newProblem(http.StatusBadRequest, "invalid-idempotency-key", "the key is 1 to 255 visible ASCII characters"))
		return
	}
	body, err := io.ReadAll(io.LimitReader(c.Request.Body, maxBody+1))
	if err != nil {
		sendProblem(c, newProblem(http.StatusBadRequest, "malformed-json", "the body ends before its announced length"))
		return
	}
	c.Request.Body = io.NopCloser(bytes.NewReader(body))
	ctx, route := c.Request.Context(), c.Request.Method+" "+c.Request.URL.RequestURI()
	who := callerOf(ctx).id
	kept := keepingOf(who, key, route, c.GetHeader("Content-Type"), body)
	before, err := s.DB.BeginRequest(ctx, who, kept.key, route, kept.fingerprint)
	if err == nil && before != nil {
		before.Body, err = kept.open(before.Body)
	}
	var lost *postgres.AnswerLostError
	switch {
	case errors.Is(err, postgres.ErrKeyReused):
		sendProblem(c, newProblem(http.StatusUnprocessableEntity, "idempotency-key-reused", "the Idempotency-Key was used for another request"))
	case errors.Is(err, postgres.ErrKeyBusy):
		p := newProblem(http.StatusConflict, "idempotency-in-progress", "a request with this Idempotency-Key is being answered")
		p.retryAfter = "1"
		sendProblem(c, p)
	case errors.As(err, &lost):
		sendProblem(c, newProblem(http.StatusConflict, "idempotency-answer-lost", lost.Error()))
	case err != nil:
		sendProblem(c, s.problem(ctx, err))
	case before != nil:
		c.Header("Idempotency-Replayed", "true")
		c.Data(before.Status, before.Kind, before.Body)
		c.Abort()
	default:
		c.Request = c.Request.WithContext(postgres.ForRequest(ctx, who, kept.key, route))
		s.answerOnce(c, func(a *postgres.Answer) error {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			if a != nil {
				a.Body = kept.seal(a.Body)
			}
			return s.DB.EndRequest(ctx, who, kept.key, route, a)
		})
	}
}

// keeping is how a request and its answer are kept: of neither is there anything to read. Who asks again
// shows the same key and the same body, and only with these is the answer opened, so it is lost to
// everybody who does not have the request, and needs no forgetting when a user is deleted.
type keeping struct {
	key         string // a digest
	fingerprint []byte // of the body, for who knows the key
	aead        cipher.AEAD
}

func keepingOf(caller, key, route, kind string, body []byte) keeping {
	digest := sha256.Sum256([]byte(caller + "\x00" + key))
	request := sha256.Sum256(append([]byte(kind+"\x00"), body...))
	derived := func(purpose string) []byte {
		secret, err := hkdf.Key(sha256.New, slices.Concat([]byte(key), request[:]), digest[:], purpose+" "+route, sha256.Size)
		if err != nil {
			panic(fmt.Sprintf("api: derive a key: %s", err)) // only of lengths that cannot be
		}
		return secret
	}
	block, err := aes.NewCipher(derived("answer"))
	if err != nil {
		panic(fmt.Sprintf("api: make a cipher: %s", err))
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(fmt.Sprintf("api: make a cipher: %s", err))
	}
	return keeping{base64.RawURLEncoding.EncodeToString(digest[:]), derived("fingerprint"), aead}
}

func (k *keeping) seal(answer []byte) []byte { return k.aead.Seal(nil, nil, answer, nil) }

func (k *keeping) open(sealed []byte) ([]byte, error) {
	answer, err := k.aead.Open(nil, nil, sealed, nil)
	if err != nil {
		return nil, fmt.Errorf("open the answer to a repeated request: %w", err)
	}
	return answer, nil
}

// answerOnce answers a request and keeps the answer, unless it is no answer: a fault of ours, or what is
// told a caller who did not wait for it.
func (s *server) answerOnce(c *gin.Context, keep func(*postgres.Answer) error) {
	recorder := &recorder{ResponseWriter: c.Writer}
	c.Writer = recorder
	var answer *postgres.Answer
	defer func() { // also where a handler panics
		if err := keep(answer); err != nil {
			s.Log.Warn("keeping the answer of an idempotent request", "error", err)
		}
	}()
	c.Next()
	status := recorder.Status()
	if status < http.StatusInternalServerError && status != http.StatusTooManyRequests && status != http.StatusRequestTimeout {
		answer = &postgres.Answer{Status: status, Kind: recorder.Header().Get("Content-Type"), Body: recorder.body.Bytes()}
	}
}

// recorder keeps what is written.
type recorder struct {
	gin.ResponseWriter
	body bytes.Buffer
}

func (r *recorder) Write(p []byte) (int, error) {
	r.body.Write(p)
	return r.ResponseWriter.Write(p)
}

func (r *recorder) WriteString(s string) (int, error) {
	r.body.WriteString(s)
	return r.ResponseWriter.WriteString(s)
}

func visible(key string) bool {
	if len(key) > 255 {
		return false
	}
	for _, c := range []byte(key) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}
