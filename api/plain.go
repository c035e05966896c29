package api

import (
	"context"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	swagger "github.com/swaggo/files/v2"

	"rollcall/schema"
)

// health adds what machines look at.
func (s *server) health(router *gin.Engine) {
	router.GET("/healthz", func(c *gin.Context) { c.JSON(http.StatusOK, gin.H{"status": "ok"}) })
	router.GET("/readyz", s.ready)
	router.GET("/metrics", gin.WrapH(promhttp.HandlerFor(s.Metrics, promhttp.HandlerOpts{})))
}

// docs adds what needs no key: the documentation page, whose files are all served from here, and the
// schema of workflows, which editors ask for.
func (s *server) docs(router *gin.Engine) {
	router.GET("/", func(c *gin.Context) { c.Redirect(http.StatusFound, "/docs") })
	router.GET("/docs", func(c *gin.Context) {
		c.Header("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'")
		c.Data(http.StatusOK, "text/html; charset=utf-8", []byte(docsPage))
	})
	router.GET("/docs/start.js", func(c *gin.Context) { c.Data(http.StatusOK, "text/javascript", []byte(docsScript)) })
	form := schema.Workflow(s.Catalog)
	router.GET("/schema/workflow.json", func(c *gin.Context) {
		c.Header("Cache-Control", "max-age=300")
		c.Data(http.StatusOK, "application/schema+json", form)
	})
	files := http.FileServer(http.FS(swagger.FS))
	for _, name := range []string{"swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"} {
		router.GET("/docs/"+name, gin.WrapH(http.StripPrefix("/docs", files)))
	}
}

// ready answers whether the API can do its work. Temporal is reported, and being without it is
// no reason to refuse work: what is accepted is started when it is back.
func (s *server) ready(c *gin.Context) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), 2*time.Second)
	defer cancel()
	checks := gin.H{"postgres": "ok", "temporal": "ok"}
	status := http.StatusOK
	if err := s.Temporal(ctx); err != nil {
		checks["temporal"] = "does not answer"
	}
	if err := s.DB.Ping(ctx); err != nil {
		checks["postgres"], status = "does not answer", http.StatusServiceUnavailable
	}
	c.JSON(status, checks)
}

const docsPage = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Rollcall API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css"><link rel="icon" href="/docs/favicon-32x32.png"></head>
<body><div id="ui"></div><script src="/docs/swagger-ui-bundle.js"></script><script src="/docs/start.js"></script></body>
</html>
`

const docsScript = `SwaggerUIBundle({ url: "/openapi.json", dom_id: "#ui", deepLinking: true });
`
