//go:build unix && !linux

package rig_test

import "errors"

// disk is a file system of its own that can be full; there is none here.
type disk struct{}

// alone does nothing here: nothing is mounted.
func alone() (code int, ran bool) { return 0, false }

func mountDisk(string) (*disk, error) { return nil, errors.New("only Linux has disks in memory") }

func (*disk) fill() error  { return nil }
func (*disk) empty() error { return nil }
func (*disk) unmount()     {}
