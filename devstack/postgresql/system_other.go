//go:build !linux

package postgresql

import "syscall"

// endWithParent does nothing here: a server that outlives its parent is stopped by the next Start.
func endWithParent(*syscall.SysProcAttr) {}

const memory = "/nonexistent"

func roomInMemory() bool { return false }
