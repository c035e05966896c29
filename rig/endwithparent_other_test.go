//go:build unix && !linux

package rig_test

import "syscall"

// endWithParent does nothing here: a child may outlive a test that is killed.
func endWithParent(*syscall.SysProcAttr) {}
