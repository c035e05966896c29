package world

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const clientEmail = "rollcall@world.iam.gserviceaccount.test"

// google is the token endpoint. Its key is made when it is first needed.
type google struct {
	dir, addr string
	log       *slog.Logger
	once      sync.Once
	private   *rsa.PrivateKey
}

func newGoogle(dir, addr string, log *slog.Logger) *google {
	return &google{dir: dir, addr: addr, log: log}
}

// GoogleCredentials returns the key file of a service account whose tokens come from here. The
// key survives a restart where the world has a folder.
func (w *World) GoogleCredentials() []byte {
	der, err := x509.MarshalPKCS8PrivateKey(w.google.key())
	if err != nil {
		return nil // a key of our own making can be marshalled
	}
	file, err := json.MarshalIndent(map[string]string{
		"type":           "service_account",
		"project_id":     "world",
		"private_key_id": "world-key",
		"private_key":    string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"client_email":   clientEmail,
		"client_id":      "100000000000000000001",
		"token_uri":      w.google.tokenURI(),
	}, "", "  ")
	if err != nil {
		return nil // nor can strings fail
	}
	return file
}

func (g *google) tokenURI() string { return "http://" + g.addr + "/google/token" }

func (g *google) key() *rsa.PrivateKey {
	g.once.Do(func() {
		path := filepath.Join(g.dir, "google-key.pem")
		if g.dir != "" {
			if g.private = readKey(path); g.private != nil {
				return
			}
		}
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err) // crypto/rand does not fail
		}
		g.private = key
		if g.dir == "" {
			return
		}
		file := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
		if err := os.WriteFile(path, file, 0o600); err != nil {
			g.log.Warn("keep the key of the world's service account", "error", err)
		}
	})
	return g.private
}

func readKey(path string) *rsa.PrivateKey {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil
	}
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		return nil
	}
	return key
}

// accessToken is the token that every good grant gets. It belongs to the key, so it outlives a
// restart.
func (g *google) accessToken() string {
	sum := sha256.Sum256(x509.MarshalPKCS1PrivateKey(g.key()))
	return "ya29.world-" + hex.EncodeToString(sum[:16])
}

// token answers the grant of a service account.
func (w *World) token(rw http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(rw, r.Body, 1<<20)
	if r.FormValue("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
		answerJSON(rw, http.StatusBadRequest, map[string]any{
			"error": "unsupported_grant_type", "error_description": "Invalid grant_type: " + r.FormValue("grant_type"),
		})
		return
	}
	if fault := w.google.check(r.FormValue("assertion"), time.Now()); fault != "" {
		answerJSON(rw, http.StatusBadRequest, map[string]any{
			"error": "invalid_grant", "error_description": fault,
		})
		return
	}
	answerJSON(rw, http.StatusOK, map[string]any{
		"access_token": w.google.accessToken(), "expires_in": 3599, "token_type": "Bearer",
	})
}

// check judges a signed assertion and returns what Google says against it, "" if nothing.
func (g *google) check(assertion string, now time.Time) string {
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 {
		return "Bad Request"
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err != nil || rsa.VerifyPKCS1v15(&g.key().PublicKey, crypto.SHA256, sum[:], signature) != nil {
		return "Invalid JWT Signature."
	}
	var claims struct {
		Iss, Aud, Scope string
		Exp             int64
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(payload, &claims) != nil {
		return "Bad Request"
	}
	switch {
	case claims.Iss != clientEmail:
		return "Invalid grant: account not found"
	case claims.Aud != g.tokenURI():
		return "Invalid JWT: Failed audience check."
	case claims.Exp < now.Unix():
		return "Invalid JWT: Token must be a short-lived token"
	case !strings.Contains(claims.Scope, "/auth/spreadsheets"):
		return "Invalid OAuth scope or ID token audience provided."
	}
	return ""
}

// authorized lets a call to the Sheets API through if it has the token.
func (w *World) authorized(next http.HandlerFunc) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+w.google.accessToken() {
			rw.Header().Set("WWW-Authenticate", `Bearer realm="https://accounts.google.com/"`)
			answerGoogle(rw, http.StatusUnauthorized, "UNAUTHENTICATED", "Request had invalid authentication "+
				"credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.")
			return
		}
		r.Body = http.MaxBytesReader(rw, r.Body, maxRequest)
		next(rw, r)
	}
}

func answerGoogle(rw http.ResponseWriter, status int, name, message string) {
	answerJSON(rw, status, map[string]any{
		"error": map[string]any{"code": status, "message": message, "status": name},
	})
}

func answerJSON(rw http.ResponseWriter, status int, answer any) {
	rw.Header().Set("Content-Type", "application/json; charset=UTF-8")
	rw.WriteHeader(status)
	_ = json.NewEncoder(rw).Encode(answer)
}
