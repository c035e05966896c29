// Package examples holds the workflows that the README shows, the tests validate and rollcall-dev
// publishes: the same bytes.
//
// Floor 0.
package examples

import "embed"

// Files are the definitions, one YAML file each.
//
//go:embed *.yaml
var Files embed.FS
