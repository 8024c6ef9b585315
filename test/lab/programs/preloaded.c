/* What an image's LD_PRELOAD puts into every process that the dynamic loader starts. */
#include <unistd.h>

__attribute__((constructor)) static void speak(void)
{
    static const char text[] = "preloaded\n";
    ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
    (void)written;
}
