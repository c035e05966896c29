package rig_test

import "syscall"

// endWithParent lets the kernel end a child with the thread that started it.
func endWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
