package rig_test

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
)

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
