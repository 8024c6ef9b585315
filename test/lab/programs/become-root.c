/* Installed setuid root: tries to become root and says whether it is. */
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    int refused = setuid(0);
    printf("setuid(0)=%d uid=%d euid=%d\n", refused, (int)getuid(), (int)geteuid());
    return geteuid() == 0 ? 0 : 1;
}
