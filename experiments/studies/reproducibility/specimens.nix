# Builders that are not careful, each in one way. `cause` says what gets into the output: of those that something "fixes",
# the sandbox is expected to take it away; all others must be found.
{
  # The compiler's own date, where SOURCE_DATE_EPOCH does not fix it.
  date = {
    cause = "time";
    script = ''
      echo 'const char *built = __DATE__ " " __TIME__;' >date.c
      mkdir $out && gcc -c date.c -o $out/date.o
    '';
  };
  # A tar file keeps the times of what it packs.
  archive = {
    cause = "time";
    script = ''
      mkdir made && echo a >made/a && echo b >made/b
      mkdir $out && tar -cf $out/made.tar made
    '';
  };
  # So does an archive of objects, where `ar` is told to.
  objects = {
    cause = "time";
    script = ''
      echo 'int a;' >a.c && gcc -c a.c
      mkdir $out && ar rcU $out/liba.a a.o
    '';
  };
  # gzip writes the file's time into its head.
  compressed = {
    cause = "time";
    script = ''
      echo text >text && mkdir $out && gzip text && mv text.gz $out
    '';
  };
  random = {
    cause = "chance";
    script = ''
      mkdir $out && od -An -N16 -tx1 /dev/urandom >$out/id
    '';
  };
  # A temporary name that debugging information keeps.
  temporary = {
    cause = "chance";
    script = ''
      dir=$(mktemp -d) && echo 'int a;' >$dir/a.c
      mkdir $out && gcc -g -c $dir/a.c -o $out/a.o
    '';
  };
  # Perl's hashes have another order in each process.
  hash = {
    cause = "chance";
    script = ''
      mkdir $out && perl -e 'my %h = map { $_ => 1 } 1 .. 99; print "$_\n" for keys %h' >$out/keys
    '';
  };
  # Many processes write to one file, as they come.
  race = {
    cause = "chance";
    script = ''
      mkdir $out
      seq 1 300 | xargs -P 8 -n 1 bash -c 'for i in 1 2 3; do echo $0 $i; done' >>$out/log
    '';
  };
  # What `make -j` is told, where a program keeps it.
  cores = {
    cause = "cores";
    script = ''
      echo "const int threads = $NIX_BUILD_CORES;" >threads.c
      mkdir $out && gcc -c threads.c -o $out/threads.o
    '';
  };
  # What the system says instead.
  processors = {
    cause = "processors";
    script = ''
      echo "const int threads = $(nproc);" >threads.c
      mkdir $out && gcc -c threads.c -o $out/threads.o
    '';
  };
  # Files in the order in which the directory lists them.
  order = {
    cause = "directory order";
    script = ''
      mkdir made && for i in $(seq 1 40); do : >made/$i; done
      mkdir $out && (cd made && ls -U) >$out/list
    '';
  };
  # A tool that remembers files by their numbers on the disk.
  inodes = {
    cause = "inode numbers";
    script = ''
      mkdir made && for i in $(seq 1 40); do : >made/$i; done
      mkdir $out && ls -i made >$out/list
    '';
  };
  kernel = {
    cause = "kernel";
    script = ''
      echo "const char *kernel = \"$(uname -r)\";" >kernel.c
      mkdir $out && gcc -c kernel.c -o $out/kernel.o
    '';
  };

  host = {
    cause = "fixed: host name";
    script = ''
      mkdir $out && uname -n >$out/host && cat /proc/sys/kernel/domainname >>$out/host
    '';
  };
  user = {
    cause = "fixed: user";
    script = ''
      mkdir $out && (id; umask; echo ~) >$out/user
    '';
  };
  # Debugging information keeps the directory of the build.
  path = {
    cause = "fixed: build directory";
    script = ''
      echo 'int a;' >a.c && mkdir $out && gcc -g -c a.c -o $out/a.o
    '';
  };
  zone = {
    cause = "fixed: locale and time zone";
    script = ''
      mkdir $out && (date -d @0; date -d @0 +%A; printf 'a\nB\n' | sort) >$out/zone
    '';
  };
  environment = {
    cause = "fixed: environment";
    script = ''
      mkdir $out && env | grep -v -e ^NIX_BUILD_CORES= | sort >$out/environment
    '';
  };
  # Where things lie in memory.
  addresses = {
    cause = "fixed: addresses";
    script = ''
      echo '#include <stdio.h>
      #include <stdlib.h>
      int main(void) { int a; printf("%p %p %p\n", &a, malloc(1), main); }' >a.c
      gcc a.c -o a && mkdir $out && ./a >$out/addresses
    '';
  };
  process = {
    cause = "fixed: process number";
    script = ''
      mkdir $out && echo $$ >$out/process
    '';
  };
  # When the inputs were made.
  inputs = {
    cause = "fixed: times of inputs";
    script = ''
      mkdir $out && stat -c '%n %Y' /usr/bin/gcc /usr/lib >$out/times
    '';
  };
}
