package postgresql

import "syscall"

// endWithParent asks the kernel to shut the child down when the thread that forked it ends.
func endWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGINT }

// memory is a file system kept in memory, where there is one.
const memory = "/dev/shm"

// roomInMemory reports whether a test's databases fit: a container often has only 64 MB there.
func roomInMemory() bool {
	const need, tmpfs = 2 << 30, 0x01021994
	var fs syscall.Statfs_t
	if err := syscall.Statfs(memory, &fs); err != nil {
		return false
	}
	return fs.Type == tmpfs && fs.Bavail*uint64(fs.Bsize) >= need
}
