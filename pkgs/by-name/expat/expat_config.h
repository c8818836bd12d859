/* What a configure script would find on 64-bit Linux. */
#define BYTEORDER 1234
#define HAVE_BCOPY 1
#define HAVE_FCNTL_H 1
#define HAVE_GETPAGESIZE 1
#define HAVE_MEMMOVE 1
#define HAVE_MMAP 1
#define HAVE_UNISTD_H 1
#define XML_CONTEXT_BYTES 1024
#define XML_DTD 1
#define XML_NS 1
