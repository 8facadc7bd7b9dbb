// Memory that a File can write past the page cache.

#pragma once

#include <cstddef>
#include <new>
#include <string>

namespace holdfast::disk {

// What has this as a multiple for its address, its size and its place in the file goes to the
// device as it is (File::Write). No device that we know of has larger blocks.
inline constexpr size_t kDirectBytes = 4096;

// Allocates on boundaries of kDirectBytes.
template <typename T>
struct AlignedAllocator {
  using value_type = T;

  AlignedAllocator() = default;
  template <typename U>
  AlignedAllocator(const AlignedAllocator<U>&) {}  // NOLINT(google-explicit-constructor)

  T* allocate(size_t count) {
    return static_cast<T*>(::operator new (count * sizeof(T), std::align_val_t{kDirectBytes}));
  }
  void deallocate(T* pointer, size_t /*count*/) {
    ::operator delete (pointer, std::align_val_t{kDirectBytes});
  }
  friend bool operator==(const AlignedAllocator&, const AlignedAllocator&) { return true; }
};

// A string of bytes that is aligned as soon as it holds kDirectBytes.
using Buffer = std::basic_string<char, std::char_traits<char>, AlignedAllocator<char>>;

}  // namespace holdfast::disk
