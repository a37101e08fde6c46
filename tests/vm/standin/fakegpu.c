// SPDX-License-Identifier: GPL-2.0
// A PCI domain of its own with one device in it that says it is an NVIDIA card, so that the kernel's own ways
// (modalias, udev, blacklists, drivers that claim devices) can be tested where there is none.
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/unaligned.h>

static u8 space[256];
static struct pci_bus *bus;
static struct pci_sysdata sysdata = { .domain = 1, .node = NUMA_NO_NODE };
static struct resource numbers = { .name = "fakegpu", .start = 0, .end = 0, .flags = IORESOURCE_BUS };

static int fakegpu_read(struct pci_bus *on, unsigned int devfn, int where, int size, u32 *value)
{
	*value = ~0u;
	if (on->number || devfn || where + size > (int)sizeof(space))
		return PCIBIOS_DEVICE_NOT_FOUND;
	*value = 0;
	memcpy(value, space + where, size);
	return PCIBIOS_SUCCESSFUL;
}

static int fakegpu_write(struct pci_bus *on, unsigned int devfn, int where, int size, u32 value)
{
	if (!on->number && !devfn && where == PCI_COMMAND && size == 2)
		put_unaligned_le16(value, space + where);
	return PCIBIOS_SUCCESSFUL;
}

static struct pci_ops ops = { .read = fakegpu_read, .write = fakegpu_write };

static int __init fakegpu_init(void)
{
	LIST_HEAD(windows);

	put_unaligned_le16(0x10de, space + PCI_VENDOR_ID);
	put_unaligned_le16(0x2684, space + PCI_DEVICE_ID);
	put_unaligned_le16(PCI_CLASS_DISPLAY_VGA, space + PCI_CLASS_DEVICE);
	pci_add_resource(&windows, &numbers);
	bus = pci_scan_root_bus(NULL, 0, &ops, &sysdata, &windows);
	if (!bus) {
		pci_free_resource_list(&windows);
		return -ENODEV;
	}
	pci_bus_add_devices(bus);
	return 0;
}

module_init(fakegpu_init);
MODULE_DESCRIPTION("A PCI device that says it is an NVIDIA card");
MODULE_LICENSE("GPL");
