/* Put in front of the C library: of every third pwrite only a part is written, as a kernel may do,
   and every fifth is interrupted before it has written anything. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

typedef ssize_t (*Pwrite)(int, const void*, size_t, off_t);

static ssize_t ShortPwrite(const char* name, int fd, const void* data, size_t size, off_t at) {
  static atomic_uint calls;
  const Pwrite real = (Pwrite)dlsym(RTLD_NEXT, name);
  const unsigned call = atomic_fetch_add(&calls, 1);
  if (call % 5 == 4) {
    errno = EINTR;
    return -1;
  }
  if (call % 3 == 2 && size > 1) size = 1 + (call * 7919u) % (size - 1);
  return real(fd, data, size, at);
}

ssize_t pwrite(int fd, const void* data, size_t size, off_t at) {
  return ShortPwrite("pwrite", fd, data, size, at);
}

ssize_t pwrite64(int fd, const void* data, size_t size, off_t at) {
  return ShortPwrite("pwrite64", fd, data, size, at);
}
