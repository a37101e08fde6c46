// SPDX-License-Identifier: GPL-2.0
// Stands in for the part of NVIDIA's driver that shares memory.
#include <linux/module.h>

static int uvm_disable_hmm;
module_param(uvm_disable_hmm, int, 0444);

static int __init uvm_init(void)
{
	return 0;
}

static void __exit uvm_exit(void)
{
}

module_init(uvm_init);
module_exit(uvm_exit);
MODULE_DESCRIPTION("Stands in for nvidia-uvm");
MODULE_VERSION(DRIVER_VERSION);
MODULE_LICENSE("Dual MIT/GPL");
MODULE_SOFTDEP("pre: nvidia");
