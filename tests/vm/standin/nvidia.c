// SPDX-License-Identifier: GPL-2.0
// Stands in for NVIDIA's driver: its version, a few of its parameters, what it says of itself in /proc, and
// that it does not load where another driver has the card. With BROKEN it is one that does not start.
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>

static const struct pci_device_id ids[] = {
	{ PCI_DEVICE(0x10de, PCI_ANY_ID), .class = PCI_BASE_CLASS_DISPLAY << 16, .class_mask = 0xff << 16 },
	{}
};
MODULE_DEVICE_TABLE(pci, ids);

static int NVreg_PreserveVideoMemoryAllocations;
module_param(NVreg_PreserveVideoMemoryAllocations, int, 0444);
static int NVreg_EnableGpuFirmware = 18;
module_param(NVreg_EnableGpuFirmware, int, 0444);
static int NVreg_UsePageAttributeTable = -1;
module_param(NVreg_UsePageAttributeTable, int, 0444);

static int cards;
static struct proc_dir_entry *folder;

static int nvidia_probe(struct pci_dev *card, const struct pci_device_id *id)
{
	cards++;
	return 0;
}

static void nvidia_remove(struct pci_dev *card)
{
}

static struct pci_driver driver = {
	.name = "nvidia", .id_table = ids, .probe = nvidia_probe, .remove = nvidia_remove
};

static int version_show(struct seq_file *file, void *unused)
{
	seq_puts(file, "NVRM version: NVIDIA UNIX x86_64 Kernel Module  " DRIVER_VERSION "  Tue Apr  8 12:41:17 UTC 2025\n");
	seq_puts(file, "GCC version:  gcc version 14.2.0 (Debian 14.2.0-19)\n");
	return 0;
}

static int __init nvidia_init(void)
{
	int error;

#ifdef BROKEN
	pr_err("NVRM: the stand-in does not start, as it was built not to\n");
	return -EIO;
#endif
	error = pci_register_driver(&driver);
	if (error)
		return error;
	if (!cards) {
		pr_err("NVRM: The NVIDIA probe routine was not called for 1 device(s).\n");
		pr_err("NVRM: No NVIDIA GPU found.\n");
		pci_unregister_driver(&driver);
		return -ENODEV;
	}
	folder = proc_mkdir("driver/nvidia", NULL);
	proc_create_single("version", 0444, folder, version_show);
	return 0;
}

static void __exit nvidia_exit(void)
{
	proc_remove(folder);
	pci_unregister_driver(&driver);
}

module_init(nvidia_init);
module_exit(nvidia_exit);
MODULE_DESCRIPTION("Stands in for NVIDIA's driver");
MODULE_VERSION(DRIVER_VERSION);
MODULE_LICENSE("Dual MIT/GPL");
