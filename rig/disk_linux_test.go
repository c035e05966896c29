package rig_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
)

const aloneVariable = "ROLLCALL_RIG_ALONE"

// alone runs this program once more where mounts are seen by nobody else, and are gone when it ends, however
// it ends. It returns false where it is that one already, or cannot be.
func alone() (code int, ran bool) {
	if os.Getenv(aloneVariable) != "" || os.Geteuid() != 0 {
		return 0, false
	}
	runtime.LockOSThread() // the kernel ends a child with the thread that started it
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = append(os.Environ(), aloneVariable+"=1"), os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	endWithParent(cmd.SysProcAttr)
	err := cmd.Run()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		return 0, false
	}
	return cmd.ProcessState.ExitCode(), true
}

// disk is a file system of its own, in memory, that can be full.
type disk struct{ dir string }

// roomy is more than a run writes; memory is taken only as it is written.
const roomy = 8 << 30

// mountDisk makes a disk at a folder, which is created.
func mountDisk(dir string) (*disk, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("only root mounts one")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	d := &disk{dir}
	if err := syscall.Mount("rollcall-rig", dir, "tmpfs", 0, "mode=755,size="+strconv.Itoa(roomy)); err != nil {
		return nil, fmt.Errorf("mount: %w", err)
	}
	return d, nil
}

// fill leaves no room for anything that is not written yet.
func (d *disk) fill() error {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(d.dir, &fs); err != nil {
		return err
	}
	var err error
	for spare := uint64(0); spare < 1024; spare += 64 { // it is being written to at this moment
		used := (fs.Blocks - fs.Bfree + spare) * uint64(fs.Bsize)
		if err = d.resize(used); err == nil {
			return nil
		}
	}
	return err
}

// empty gives the room back.
func (d *disk) empty() error { return d.resize(roomy) }

func (d *disk) resize(bytes uint64) error {
	return syscall.Mount("rollcall-rig", d.dir, "tmpfs", syscall.MS_REMOUNT, "size="+strconv.FormatUint(bytes, 10))
}

// unmount takes the disk away, with what is on it.
func (d *disk) unmount() { _ = syscall.Unmount(d.dir, syscall.MNT_DETACH) }
