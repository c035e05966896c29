package api

import (
	"net/http"
	"net/url"

	"github.com/gin-gonic/gin"

	"rollcall/automation"
)

// codecRoutes lets Temporal's Web UI and its command line read what is compressed or encrypted in
// Temporal: only decode, only for keys that may read enrollments, only from pages of that Web UI.
func (s *server) codecRoutes(router *gin.Engine) {
	if s.Decode == nil {
		return
	}
	const path = "/v1/codec/decode"
	ui := ""
	if u, err := url.Parse(s.UI); err == nil && u.Host != "" {
		ui = u.Scheme + "://" + u.Host
	}
	allow := func(c *gin.Context) {
		c.Header("Vary", "Origin")
		if origin := c.GetHeader("Origin"); origin != "" && origin == ui {
			c.Header("Access-Control-Allow-Origin", origin)
			c.Header("Access-Control-Allow-Methods", "POST, OPTIONS")
			c.Header("Access-Control-Allow-Headers", "X-Namespace, Content-Type, Authorization")
		}
	}
	router.OPTIONS(path, func(c *gin.Context) {
		allow(c)
		c.Status(http.StatusNoContent)
	})
	router.POST(path, func(c *gin.Context) {
		allow(c)
		who := callerOf(c.Request.Context())
		if !who.may(automation.EnrollmentsRead) {
			sendProblem(c, newProblem(http.StatusForbidden, "insufficient-scope", "the key does not have the scope "+string(automation.EnrollmentsRead)))
			return
		}
		s.Log.Info("payloads decoded", "key", who.id, "name", who.name)
		c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, maxBody)
		c.Request.URL.Path = "/decode" // by which the handler tells it from encode
		s.Decode.ServeHTTP(c.Writer, c.Request)
	})
}
