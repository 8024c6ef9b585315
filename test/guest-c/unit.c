#include "unit.h"

int main(void)
{
	unit_wire();
	unit_tar();
	return 0;
}
